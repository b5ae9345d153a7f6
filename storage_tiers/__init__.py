"""Where copies live: the disk tier (an OCFL storage root) and the identity that every tier carries."""
