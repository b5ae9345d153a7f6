"""The catalogue: objects, versions, copies and events in a database; SQLAlchemy lives only here."""
