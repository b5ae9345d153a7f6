"""What an object is and what is known of it: model, OCFL, packages, ingest, catalogue, export."""
