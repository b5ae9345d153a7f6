"""OCFL 1.0 and 1.1: inventories, objects, storage roots, layouts and validation."""
