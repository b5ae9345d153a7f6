"""What we know of the backup base: the archives that we made and read back."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from repository.catalog import schema
from repository.catalog.counters import insert
from repository.catalog.engine import reading, writing
from repository.catalog.recording import write_events
from repository.model import ArchiveRecord, Event


class ArchiveList:
    """The archives that should be on the base, as part of a catalogue."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def all(self) -> list[ArchiveRecord]:
        """Every archive, oldest first."""
        table = schema.archives
        with reading(self._engine) as connection:
            rows = connection.execute(sa.select(table).order_by(table.c.created_at, table.c.name)).all()
        return [
            ArchiveRecord(
                name=row.name,
                id=row.archive_id,
                created=row.created_at,
                versions=row.versions,
                stored_bytes=row.stored_bytes,
            )
            for row in rows
        ]

    def record(self, archives: Iterable[ArchiveRecord], *, events: Sequence[Event] = ()) -> None:
        """Note archives that were made and read back; one that is known is left as it is."""
        with writing(self._engine) as connection:
            for archive in archives:
                write_archive(connection, archive)
            write_events(connection, events)

    def forget(self, names: Iterable[str], *, events: Sequence[Event] = ()) -> None:
        """Note that archives are about to be deleted by the rules; their absence is explained from now on."""
        with writing(self._engine) as connection:
            connection.execute(sa.delete(schema.archives).where(schema.archives.c.name.in_(list(names))))
            write_events(connection, events)


def write_archive(connection: Connection, archive: ArchiveRecord) -> None:
    """Insert an archive's row."""
    values = {
        "name": archive.name,
        "archive_id": archive.id,
        "created_at": archive.created,
        "versions": archive.versions,
        "stored_bytes": archive.stored_bytes,
    }
    connection.execute(insert(connection, schema.archives).values(values).on_conflict_do_nothing())
