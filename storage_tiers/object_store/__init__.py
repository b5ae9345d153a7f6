"""A tier on an object store that speaks S3: packs, uploads that go on where they were cut off, locks, probes."""
