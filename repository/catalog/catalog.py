"""The catalogue: what the repository holds, where, and what happened to it.

Functions take and return the domain's types. Every change writes its event and its counters in the same
transaction (docs/design.md, invariant 11), and no query reads more rows than it returns.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import sqlalchemy as sa
from sqlalchemy import Connection

from repository.catalog import schema
from repository.catalog.archives import ArchiveList
from repository.catalog.counters import Counters, count, insert
from repository.catalog.dump import dump_database
from repository.catalog.engine import open_engine, reading, require_current_schema, upgrade_schema, writing
from repository.catalog.placing import place
from repository.catalog.recording import Wanted, is_known, write_copies, write_events, write_objects
from repository.catalog.rows import event_of, metadata_of, summary_of, version_of
from repository.catalog.transfers import TransferQueue
from repository.errors import CatalogError
from repository.model import (
    CopyRecord,
    CopyState,
    Event,
    Intent,
    ObjectId,
    ObjectRecord,
    ObjectSummary,
    TierTotals,
    Totals,
)

STREAM_ROWS = 1000
_LAST_CHARACTER = "\U0010ffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFilter:
    """Which objects to list; everything that is given must hold."""

    id_prefix: str | None = None
    reference_prefix: str | None = None
    fonds: str | None = None
    year: int | None = None


class Catalog:
    """One database; safe to use from several threads and next to other processes.

    Args:
        url: of the database.
        password: for PostgreSQL.
        wanted: names of the tiers that should hold an object with such metadata; what is recorded is queued for them.
    """

    def __init__(self, url: str, *, password: str | None = None, wanted: Wanted = lambda _metadata: ()) -> None:
        self._engine = open_engine(url, password=password)
        self._wanted = wanted
        self.transfers = TransferQueue(self._engine)
        self.archives = ArchiveList(self._engine)

    @property
    def where(self) -> str:
        """The database's URL without its password."""
        return self._engine.url.render_as_string(hide_password=True)

    def dump(self, into: Path) -> None:
        """Write a consistent copy of the whole catalogue, as of one moment, while others go on writing.

        SQLite: a database file. PostgreSQL: a script for `psql`, made by pg_dump.

        Raises:
            CatalogError: the database or pg_dump refused.
        """
        dump_database(self._engine, into)

    def close(self) -> None:
        """Give back all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        """Opened already; checks that the schema is this release's."""
        try:
            require_current_schema(self._engine)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def create(self) -> None:
        """Make the tables, or bring an older release's to this one's. Nothing is lost by repeating it."""
        upgrade_schema(self._engine)

    # tiers

    def register_tier(self, name: str, *, uuid: str, kind: str) -> None:
        """Make a tier known. The same again changes nothing; another uuid under a known name is refused."""
        row = {"name": name, "uuid": uuid, "kind": kind}
        with writing(self._engine) as connection:
            connection.execute(insert(connection, schema.tiers).values(row).on_conflict_do_nothing())
            known = connection.execute(sa.select(schema.tiers).where(schema.tiers.c.name == name)).first()
            if known is None or known.uuid != uuid:
                raise CatalogError(
                    f"The catalogue knows another tier under the name {name!r} or the identity {uuid}",
                    where=self.where,
                    next_step="give the new tier a name of its own; names are never used twice",
                )

    def tier_uuids(self) -> dict[str, str]:
        """Name -> uuid of every tier that was ever registered."""
        with reading(self._engine) as connection:
            return {row[0]: row[1] for row in connection.execute(sa.select(schema.tiers.c.name, schema.tiers.c.uuid))}

    # intents

    def open_intents(self, intents: Sequence[Intent]) -> set[ObjectId]:
        """Record what is about to be put into place; returns the objects that nobody else is changing now."""
        if not intents:
            return set()
        rows = [
            {"uri": i.object_id.uri, "object_path": i.object_path, "version": i.version, "session": i.session}
            for i in intents
        ]
        with writing(self._engine) as connection:
            statement = insert(connection, schema.intents).on_conflict_do_nothing()
            taken = connection.execute(statement.values(rows).returning(schema.intents.c.uri)).scalars()
            return {ObjectId(uri) for uri in taken}

    def clear_intents(self, object_ids: Iterable[ObjectId]) -> None:
        """Forget intents whose work was rolled back."""
        with writing(self._engine) as connection:
            _clear_intents(connection, object_ids)

    def intents(self) -> list[Intent]:
        """Everything that somebody is putting into place, or was when he was stopped."""
        with reading(self._engine) as connection:
            rows = connection.execute(sa.select(schema.intents).order_by(schema.intents.c.uri)).all()
        return [
            Intent(object_id=ObjectId(r.uri), object_path=r.object_path, version=r.version, session=r.session)
            for r in rows
        ]

    # what happened

    def record_objects(
        self, records: Sequence[ObjectRecord], events: Sequence[Event], *, tier: str, location: str | None = None
    ) -> None:
        """Record objects or new versions of objects that are durable on a tier; one transaction for all.

        Versions that the catalogue has already are left as they are, and so are their ingestion events. A copy is
        recorded of every version, and what other tiers are owed is queued. The objects' intents are cleared.

        Args:
            records: each with the versions to add; the last one becomes the head.
            events: about these objects.
            tier: the registered tier that holds them; the new copies are `stored` there.
            location: where exactly all of them are, where the tier needs to be told; the archive on the backup base.

        Raises:
            IntegrityError: the tier has another version under a number that the catalogue knows; nothing is recorded.
        """
        with writing(self._engine) as connection:
            counters: Counters = {}
            known = write_objects(connection, records, counters=counters)
            write_copies(connection, records, known, tier=tier, location=location, counters=counters)
            place(connection, [its.key for its in known.values()], self._wanted, counters=counters)
            write_events(connection, [event for event in events if not is_known(event, known)])
            count(connection, counters)
            _clear_intents(connection, [record.id for record in records])

    def record_event(self, event: Event) -> None:
        """Record something that changed no object."""
        with writing(self._engine) as connection:
            write_events(connection, [event])

    # reading

    def list_objects(
        self,
        wanted: ObjectFilter = ObjectFilter(),
        *,
        limit: int,
        after: str | None = None,
    ) -> list[ObjectSummary]:
        """A page of objects in the order of their identifiers, beginning after the URI `after`."""
        table = schema.objects
        query = sa.select(table).order_by(table.c.uri).limit(limit)
        for column, prefix in ((table.c.uri, wanted.id_prefix), (table.c.reference_code, wanted.reference_prefix)):
            if prefix:
                query = query.where(column >= prefix, column < prefix + _LAST_CHARACTER)
        if wanted.fonds is not None:
            query = query.where(table.c.fonds == wanted.fonds)
        if wanted.year is not None:
            query = query.where(table.c.year == wanted.year)
        if after is not None:
            query = query.where(table.c.uri > after)
        with reading(self._engine) as connection:
            return [summary_of(row) for row in connection.execute(query)]

    def find_object(self, object_id: ObjectId) -> ObjectRecord | None:
        """All that is known of one object; None when it is not here."""
        with reading(self._engine) as connection:
            row = connection.execute(sa.select(schema.objects).where(schema.objects.c.uri == object_id.uri)).first()
            if row is None:
                return None
            query = sa.select(schema.versions).where(schema.versions.c.object_id == row.id)
            versions = connection.execute(query.order_by(schema.versions.c.number)).all()
        return ObjectRecord(
            id=object_id,
            object_path=row.object_path,
            metadata=metadata_of(row),
            versions=tuple(version_of(version) for version in versions),
        )

    def heads_by_path(self) -> Iterator[tuple[str, ObjectId, int, str]]:
        """Every object as (object path, identifier, head, head's inventory digest), in the order of the paths.

        Memory: one page of rows.
        """
        table, versions = schema.objects, schema.versions
        head = (versions.c.object_id == table.c.id) & (versions.c.number == table.c.head)
        query = sa.select(table.c.object_path, table.c.uri, table.c.head, versions.c.inventory_digest)
        query = query.join(versions, head).order_by(table.c.object_path).limit(STREAM_ROWS)
        after = ""
        while True:
            with reading(self._engine) as connection:
                rows = connection.execute(query.where(table.c.object_path > after)).all()
            for row in rows:
                yield row.object_path, ObjectId(row.uri), row.head, row.inventory_digest
            if len(rows) < STREAM_ROWS:
                return
            after = rows[-1].object_path

    def list_copies(self, object_id: ObjectId) -> list[CopyRecord]:
        """All copies of all versions of an object."""
        copies, tiers = schema.copies, schema.tiers
        query = (
            sa.select(copies, tiers.c.name.label("tier"))
            .join(tiers)
            .join(schema.objects, schema.objects.c.id == copies.c.object_id)
        )
        query = query.where(schema.objects.c.uri == object_id.uri).order_by(copies.c.version, tiers.c.name)
        with reading(self._engine) as connection:
            return [
                CopyRecord(
                    version=row.version,
                    tier=row.tier,
                    state=CopyState(row.state),
                    stored_at=row.stored_at,
                    verified_at=row.verified_at,
                    location=row.location,
                )
                for row in connection.execute(query)
            ]

    def list_events(self, object_id: ObjectId | None = None, *, limit: int) -> list[Event]:
        """The newest events, of one object or of the whole repository, newest first."""
        events, objects, tiers = schema.events, schema.objects, schema.tiers
        query = sa.select(events, objects.c.uri, tiers.c.name.label("tier"))
        query = query.outerjoin(objects, objects.c.id == events.c.object_id).outerjoin(tiers)
        if object_id is not None:
            query = query.where(objects.c.uri == object_id.uri)
        with reading(self._engine) as connection:
            return [event_of(row) for row in connection.execute(query.order_by(events.c.id.desc()).limit(limit))]

    def totals(self) -> Totals:
        """What the whole repository holds, from the counters."""
        query = sa.select(schema.totals).where(schema.totals.c.scope == "repository")
        with reading(self._engine) as connection:
            return Totals(**{row.counter: row.value for row in connection.execute(query)})

    def tier_totals(self) -> list[TierTotals]:
        """Copies on each tier by state, from the counters."""
        query = sa.select(schema.totals).where(schema.totals.c.scope.startswith("tier:", autoescape=True))
        found: dict[tuple[str, str], dict[str, int]] = {}
        with reading(self._engine) as connection:
            for row in connection.execute(query.order_by(schema.totals.c.scope)):
                _, tier, state = row.scope.split(":")
                found.setdefault((tier, state), {})[row.counter] = row.value
        return [TierTotals(tier=tier, state=CopyState(state), **values) for (tier, state), values in found.items()]

    def recount(self) -> tuple[Totals, list[TierTotals]]:
        """The same figures counted from the rows; reads the whole tables, for `catalog check` only."""
        o, v, c = schema.objects.c, schema.versions.c, schema.copies.c
        with reading(self._engine) as connection:
            objects = connection.execute(
                sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(o.files), 0), _sum(o.size_bytes))
            ).one()
            versions = connection.execute(sa.select(sa.func.count(), _sum(v.stored_bytes))).one()
            copies = connection.execute(
                sa.select(schema.tiers.c.name, c.state, sa.func.count(), _sum(v.stored_bytes))
                .select_from(schema.copies.join(schema.tiers).join(schema.versions))
                .group_by(schema.tiers.c.name, c.state)
                .order_by(schema.tiers.c.name, c.state)
            ).all()
        return (
            Totals(
                objects=objects[0],
                files=int(objects[1]),
                size_bytes=int(objects[2]),
                versions=versions[0],
                stored_bytes=int(versions[1]),
            ),
            [TierTotals(tier=n, state=CopyState(s), copies=k, stored_bytes=int(b)) for n, s, k, b in copies],
        )


def _sum(column: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    return sa.func.coalesce(sa.func.sum(column), 0)


def _clear_intents(connection: Connection, object_ids: Iterable[ObjectId]) -> None:
    uris = [object_id.uri for object_id in object_ids]
    connection.execute(sa.delete(schema.intents).where(schema.intents.c.uri.in_(uris)))
