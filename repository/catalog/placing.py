"""Which copies tiers are owed: the queue of some objects, brought in line with what is wanted of them."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from repository.catalog import schema
from repository.catalog.counters import Counters, add, transfers_scope
from repository.catalog.recording import Wanted
from repository.catalog.rows import metadata_of
from repository.model import CopyState, TransferState


def place(connection: Connection, keys: Sequence[int], wanted: Wanted, *, counters: Counters) -> None:
    """Bring the queue of some objects in line with what is wanted for their newest metadata.

    Tiers that are not registered yet get nothing; the next `place_all` sees them, once they are.
    """
    if not keys:
        return
    tiers = {row[0]: row[1] for row in connection.execute(sa.select(schema.tiers.c.name, schema.tiers.c.id))}
    names = {key: name for name, key in tiers.items()}
    o, v, c, t = schema.objects, schema.versions.c, schema.copies.c, schema.transfers.c
    targets = {
        row.id: {tiers[name] for name in wanted(metadata_of(row)) if name in tiers}
        for row in connection.execute(sa.select(o).where(o.c.id.in_(keys)))
    }
    versions = connection.execute(
        sa.select(v.object_id, v.number, v.created_at, v.stored_bytes).where(v.object_id.in_(keys))
    ).all()
    sizes = {(row.object_id, row.number): row.stored_bytes for row in versions}
    verified: dict[tuple[int, int], int] = {}
    held = set()
    for row in connection.execute(sa.select(c.object_id, c.version, c.tier_id, c.state).where(c.object_id.in_(keys))):
        held.add((row.object_id, row.version, row.tier_id))
        if row.state == CopyState.VERIFIED:
            verified[row.object_id, row.version] = verified.get((row.object_id, row.version), 0) + 1
    queued = {
        (row.object_id, row.version, row.tier_id): row.state
        for row in connection.execute(
            sa.select(t.object_id, t.version, t.tier_id, t.state).where(t.object_id.in_(keys))
        )
    }
    new = []
    for row in versions:
        for target in sorted(targets[row.object_id]):
            place_of_copy = (row.object_id, row.number, target)
            if place_of_copy not in held and place_of_copy not in queued:
                new.append(
                    {
                        "object_id": row.object_id,
                        "version": row.number,
                        "tier_id": target,
                        "state": TransferState.WAITING,
                        "wanted_at": row.created_at,
                        "verified_copies": verified.get((row.object_id, row.number), 0),
                        "attempts": 0,
                    }
                )
                scope = transfers_scope(names[target], TransferState.WAITING)
                add(counters, scope, copies=1, stored_bytes=row.stored_bytes)
    if new:
        connection.execute(sa.insert(schema.transfers), new)
    for (key, number, target), state in queued.items():
        if target not in targets[key] or (key, number, target) in held:
            where = (t.object_id == key, t.version == number, t.tier_id == target)
            connection.execute(sa.delete(schema.transfers).where(*where))
            scope = transfers_scope(names[target], state)
            add(counters, scope, copies=-1, stored_bytes=-sizes[key, number])
