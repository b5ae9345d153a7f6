"""Writing what happened: objects, versions, copies and events, inside a transaction of the caller."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from repository.catalog import schema
from repository.catalog.counters import REPOSITORY, Counters, add, copies_scope
from repository.catalog.rows import object_row, version_row
from repository.errors import CatalogError, IntegrityError
from repository.model import CopyState, Event, EventType, Metadata, ObjectRecord

Wanted = Callable[[Metadata], Sequence[str]]
"""Names of the tiers that should hold an object with such metadata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownObject:
    """An object's row: its key, and its head before this transaction (0 when it is new)."""

    key: int
    head_before: int


def tier_id(connection: Connection, name: str) -> int:
    """The key of a registered tier. Raises CatalogError."""
    found = connection.execute(sa.select(schema.tiers.c.id).where(schema.tiers.c.name == name)).scalar()
    if found is None:
        raise CatalogError(f"The catalogue does not know the tier {name!r}", next_step="run `jindang init` again")
    return int(found)


def write_objects(
    connection: Connection, records: Sequence[ObjectRecord], *, counters: Counters
) -> dict[str, KnownObject]:
    """Insert or update the object rows and insert their new versions; URI -> the object's row."""
    table = schema.objects
    uris = [record.id.uri for record in records]
    query = sa.select(table.c.id, table.c.uri, table.c.head, table.c.files, table.c.size_bytes)
    before = {row.uri: row for row in connection.execute(query.where(table.c.uri.in_(uris)).with_for_update())}
    new = [object_row(record) for record in records if record.id.uri not in before]
    if new:
        connection.execute(sa.insert(table), new)
        add(counters, REPOSITORY, objects=len(new))
    for record in records:
        row = before.get(record.id.uri)
        if row is not None and record.head.number > row.head:
            connection.execute(sa.update(table).where(table.c.id == row.id), object_row(record))
    keys = connection.execute(sa.select(table.c.uri, table.c.id).where(table.c.uri.in_(uris)))
    known = {uri: KnownObject(key=key, head_before=before[uri].head if uri in before else 0) for uri, key in keys}
    _write_versions(connection, records, known, before=before, counters=counters)
    return known


def _write_versions(
    connection: Connection,
    records: Sequence[ObjectRecord],
    known: dict[str, KnownObject],
    *,
    before: dict[str, Any],
    counters: Counters,
) -> None:
    rows = []
    for record in records:
        its = known[record.id.uri]
        added = [version for version in record.versions if version.number > its.head_before]
        rows += [version_row(its.key, version) for version in added]
        if added:
            row = before.get(record.id.uri)
            add(counters, REPOSITORY, files=record.head.files - (row.files if row else 0))
            add(counters, REPOSITORY, size_bytes=record.head.size_bytes - (row.size_bytes if row else 0))
            add(counters, REPOSITORY, versions=len(added), stored_bytes=sum(v.stored_bytes for v in added))
    if rows:
        connection.execute(sa.insert(schema.versions), rows)


def write_copies(
    connection: Connection,
    records: Sequence[ObjectRecord],
    known: dict[str, KnownObject],
    *,
    tier: str,
    location: str | None,
    counters: Counters,
) -> None:
    """Insert a `stored` copy on the tier for every version that has no copy there.

    Raises:
        IntegrityError: the tier has another version under a number that the catalogue knows.
    """
    key = tier_id(connection, tier)
    keys = [its.key for its in known.values()]
    table = schema.copies
    there = set(
        connection.execute(
            sa.select(table.c.object_id, table.c.version).where(table.c.object_id.in_(keys), table.c.tier_id == key)
        )
    )
    digests = _digests(connection, keys)
    rows = []
    for record in records:
        its = known[record.id.uri]
        for version in record.versions:
            if digests[its.key, version.number] != version.inventory_digest:
                raise IntegrityError(
                    "The tier has another version of this object than the catalogue",
                    where=record.id,
                    why=f"version {version.number} on tier {tier!r} has inventory {version.inventory_digest[:16]}, "
                    f"the catalogue has {digests[its.key, version.number][:16]}",
                    next_step="`jindang ocfl validate` and `jindang show` say which is right; a person must look",
                )
            if (its.key, version.number) not in there:
                rows.append(
                    {
                        "object_id": its.key,
                        "version": version.number,
                        "tier_id": key,
                        "state": CopyState.STORED,
                        "stored_at": version.created,
                        "location": location,
                    }
                )
                add(counters, copies_scope(tier, CopyState.STORED), copies=1, stored_bytes=version.stored_bytes)
    if rows:
        connection.execute(sa.insert(table), rows)


def _digests(connection: Connection, keys: Sequence[int]) -> dict[tuple[int, int], str]:
    c = schema.versions.c
    found = connection.execute(sa.select(c.object_id, c.number, c.inventory_digest).where(c.object_id.in_(keys)))
    return {(key, number): digest for key, number, digest in found}


def write_events(connection: Connection, events: Iterable[Event]) -> None:
    """Append events; their objects and tiers are known."""
    events = list(events)
    if not events:
        return
    uris = {event.object_id.uri for event in events if event.object_id is not None}
    objects, tiers = schema.objects.c, schema.tiers.c
    keys = {
        row[0]: row[1] for row in connection.execute(sa.select(objects.uri, objects.id).where(objects.uri.in_(uris)))
    }
    tier_ids = {row[0]: row[1] for row in connection.execute(sa.select(tiers.name, tiers.id))}
    connection.execute(
        sa.insert(schema.events),
        [
            {
                "type": event.type,
                "at": event.at,
                "outcome": event.outcome,
                "agent": event.agent,
                "object_id": keys[event.object_id.uri] if event.object_id else None,
                "version": event.version,
                "tier_id": tier_ids[event.tier] if event.tier else None,
                "detail": event.detail,
            }
            for event in events
        ],
    )


def is_known(event: Event, known: dict[str, KnownObject]) -> bool:
    """Whether this is the ingestion of a version that the catalogue had before."""
    if event.type is not EventType.INGESTION or event.object_id is None or event.version is None:
        return False
    return event.version <= known[event.object_id.uri].head_before
