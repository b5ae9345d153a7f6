"""Placement: desired against actual copies; transfer with read-back; the backup base."""
