"""A tier on a disk: an OCFL storage root, with an identity and a plain-text explanation beside the objects."""
