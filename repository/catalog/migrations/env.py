"""Alembic's entry point: migrations run on the connection that `repository.catalog.engine` gives."""

from alembic import context

from repository.catalog.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, compare_type=True)
context.run_migrations()
