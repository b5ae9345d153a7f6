"""The backup base: a borg repository at another site, to which object versions go in batches."""
