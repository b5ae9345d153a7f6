"""Packs: one version of an object as one uncompressed ZIP file, written and read in streams, and its encryption."""
