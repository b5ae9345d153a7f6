"""The ledger: every event is a leaf of a Merkle tree, and signed checkpoints make a rewritten history show."""
