"""Restore, rebuild, runbook engine, drills and evidence reports."""
