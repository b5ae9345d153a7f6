"""What a tier may be wrapped in; each wrapper is a tier itself, is about one thing, and hands on all else."""
