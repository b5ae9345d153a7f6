"""The queue of copies that tiers are owed: what is wanted and not there, in the order in which it is to be done.

A row is made when a version is recorded or a policy changes, and goes when the copy was read back; so nothing that is
owed is ever looked for among millions of rows, and counters say at any moment how far behind a tier is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from repository.catalog import schema
from repository.catalog.counters import Counters, add, copies_scope, count, insert, transfers_scope
from repository.catalog.engine import reading, writing
from repository.catalog.placing import place
from repository.catalog.recording import Wanted, tier_id, write_events
from repository.model import CopyState, Event, ObjectId, Transfer, TransferState, TransferTotals

PAGE_OBJECTS = 500
PLACEMENT_MARK = "placement"
RATE_MARK = "rate:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where in the queue of a tier a page ended."""

    verified_copies: int
    wanted_at: datetime
    object_key: int
    version: int


class TransferQueue:
    """The queue, as part of a catalogue."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def place_all(self, policies: str, wanted: Wanted) -> int:
        """Bring the queue in line with the policies unless that was done; returns how many objects were looked at.

        Args:
            policies: fingerprint of the policies and tiers.
            wanted: what they say.

        It goes through all objects, a page in each transaction, and can be killed and run again.
        """
        with reading(self._engine) as connection:
            tiers = ",".join(sorted(connection.execute(sa.select(schema.tiers.c.uuid)).scalars()))
            mark = sa.select(schema.marks.c.value).where(schema.marks.c.name == PLACEMENT_MARK)
            done = connection.execute(mark).scalar()
        if done == f"{policies} {tiers}":
            return 0
        after, seen = 0, 0
        while True:
            with writing(self._engine) as connection:
                query = sa.select(schema.objects.c.id).where(schema.objects.c.id > after)
                keys = list(connection.execute(query.order_by(schema.objects.c.id).limit(PAGE_OBJECTS)).scalars())
                counters: Counters = {}
                place(connection, keys, wanted, counters=counters)
                count(connection, counters)
                if len(keys) < PAGE_OBJECTS:
                    _mark(connection, PLACEMENT_MARK, f"{policies} {tiers}")
                    return seen + len(keys)
            after, seen = keys[-1], seen + len(keys)

    def waiting(
        self, tier: str, *, limit: int, after: Position | None = None
    ) -> tuple[list[Transfer], Position | None]:
        """A page of what a tier is owed, the most endangered first, then the oldest; and where the page ended."""
        t = schema.transfers.c
        order = sa.tuple_(t.verified_copies, t.wanted_at, t.object_id, t.version)
        with reading(self._engine) as connection:
            query = _joined().where(t.tier_id == tier_id(connection, tier), t.state == TransferState.WAITING)
            if after is not None:
                at = sa.bindparam("wanted_at", after.wanted_at, schema.transfers.c.wanted_at.type)
                query = query.where(order > sa.tuple_(after.verified_copies, at, after.object_key, after.version))
            query = query.order_by(t.verified_copies, t.wanted_at, t.object_id, t.version).limit(limit)
            rows = connection.execute(query).all()
        if not rows:
            return [], None
        last = rows[-1]
        position = Position(
            verified_copies=last.verified_copies,
            wanted_at=last.wanted_at,
            object_key=last.object_id,
            version=last.version,
        )
        return [_transfer(row) for row in rows], position

    def of_object(self, object_id: ObjectId) -> list[Transfer]:
        """Everything that tiers are owed of one object, by tier and version."""
        query = _joined().where(schema.objects.c.uri == object_id.uri)
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(schema.tiers.c.name, schema.transfers.c.version)).all()
        return [_transfer(row) for row in rows]

    def conflicts(self, *, limit: int) -> list[Transfer]:
        """What a person must look at, on every tier."""
        query = _joined().where(schema.transfers.c.state == TransferState.CONFLICT)
        t = schema.transfers.c
        with reading(self._engine) as connection:
            return [
                _transfer(row)
                for tier in connection.execute(sa.select(schema.tiers.c.id)).scalars().all()
                for row in connection.execute(query.where(t.tier_id == tier).order_by(t.wanted_at).limit(limit))
            ]

    def totals(self) -> list[TransferTotals]:
        """What each tier is owed, from the counters and the index."""
        table = schema.totals
        query = sa.select(table).where(table.c.scope.startswith("transfers:", autoescape=True))
        figures: dict[tuple[str, str], dict[str, int]] = {}
        with reading(self._engine) as connection:
            for row in connection.execute(query.order_by(table.c.scope)):
                _, tier, state = row.scope.split(":")
                figures.setdefault((tier, state), {})[row.counter] = row.value
            return [
                TransferTotals(
                    tier=tier,
                    state=TransferState(state),
                    oldest=_oldest(connection, tier, state),
                    copies=values.get("copies", 0),
                    stored_bytes=values.get("stored_bytes", 0),
                )
                for (tier, state), values in figures.items()
            ]

    def finish(
        self,
        done: Sequence[Transfer],
        *,
        at: datetime,
        location: str | None,
        events: Sequence[Event],
        source: str | None = None,
    ) -> None:
        """Record copies that were read back and found whole; one transaction for all.

        Args:
            done: of one tier; another process may have recorded some of them already.
            at: when the reading ended.
            location: where they are, as the tier said.
            events: about them.
            source: the tier that they were read from; its copies were read in full on the way, and count as verified.
        """
        with writing(self._engine) as connection:
            counters: Counters = {}
            for transfer in done:
                key = _object_key(connection, transfer.object_id)
                _verified(connection, key, transfer, tier=transfer.tier, at=at, location=location, counters=counters)
                _forget(connection, key, transfer, counters=counters)
                if source is not None:
                    _verified(connection, key, transfer, tier=source, at=at, location=None, counters=counters)
            write_events(connection, events)
            count(connection, counters)

    def fail(self, transfer: Transfer, *, problem: str, state: TransferState, events: Sequence[Event] = ()) -> None:
        """Note why an attempt failed; the transfer waits on, or waits for a person."""
        t = schema.transfers.c
        with writing(self._engine) as connection:
            counters: Counters = {}
            key = _object_key(connection, transfer.object_id)
            at = (t.object_id == key, t.version == transfer.version, t.tier_id == tier_id(connection, transfer.tier))
            before = connection.execute(sa.select(t.state).where(*at).with_for_update()).scalar()
            if before is None:
                return  # somebody else has done it meanwhile
            values = {"attempts": t.attempts + 1, "problem": problem, "state": state}
            connection.execute(sa.update(schema.transfers).where(*at).values(values))
            if before != state:
                _count_transfer(counters, transfer, before, -1)
                _count_transfer(counters, transfer, state, 1)
            write_events(connection, events)
            count(connection, counters)

    def requeue(
        self, object_id: ObjectId, versions: Sequence[int], *, tier: str, events: Sequence[Event] = ()
    ) -> None:
        """Note that a tier does not hold copies any more that it held; it is owed them again, from the front."""
        with writing(self._engine) as connection:
            counters: Counters = {}
            key, target = _object_key(connection, object_id), tier_id(connection, tier)
            c, v = schema.copies.c, schema.versions.c
            sizes = sa.select(v.number, v.stored_bytes).where(v.object_id == key, v.number.in_(versions))
            for number, stored_bytes in connection.execute(sizes).all():
                where = (c.object_id == key, c.version == number, c.tier_id == target)
                before = connection.execute(sa.delete(schema.copies).where(*where).returning(c.state)).scalar()
                if before is not None:
                    add(counters, copies_scope(tier, before), copies=-1, stored_bytes=-stored_bytes)
                if before == CopyState.VERIFIED:
                    _change_urgency(connection, key, number, -1)
            place(connection, [key], lambda _metadata: self._held_or_owed(connection, key, tier), counters=counters)
            write_events(connection, events)
            count(connection, counters)

    def _held_or_owed(self, connection: Connection, key: int, tier: str) -> list[str]:
        """Every tier that has or is owed something of an object already, and one more."""
        tiers, c, t = schema.tiers.c, schema.copies.c, schema.transfers.c
        ids = sa.union(
            sa.select(c.tier_id).where(c.object_id == key), sa.select(t.tier_id).where(t.object_id == key)
        ).subquery()
        names = connection.execute(sa.select(tiers.name).where(tiers.id.in_(sa.select(ids.c[0])))).scalars().all()
        return [*names, tier]

    def note_rate(self, tier: str, rate_bps: float) -> None:
        """Note how fast copies got to a tier, read back included, for the next plan."""
        with writing(self._engine) as connection:
            _mark(connection, f"{RATE_MARK}{tier}", repr(rate_bps))

    def rate_bps(self, tier: str) -> float | None:
        """Bytes a second of the last run that brought something to a tier; None before the first."""
        with reading(self._engine) as connection:
            query = sa.select(schema.marks.c.value).where(schema.marks.c.name == f"{RATE_MARK}{tier}")
            value = connection.execute(query).scalar()
        return None if value is None else float(value)

    def mark_damaged(self, transfer: Transfer, *, tier: str, events: Sequence[Event]) -> None:
        """Note that a tier's copy was found bad; it is not a source any more."""
        with writing(self._engine) as connection:
            counters: Counters = {}
            key = _object_key(connection, transfer.object_id)
            _set_state(connection, key, transfer, tier=tier, state=CopyState.DAMAGED, at=None, counters=counters)
            write_events(connection, events)
            count(connection, counters)


def _joined() -> sa.Select[tuple[object, ...]]:
    t, v, o = schema.transfers, schema.versions, schema.objects
    version = (v.c.object_id == t.c.object_id) & (v.c.number == t.c.version)
    return (
        sa.select(
            t,
            o.c.uri,
            o.c.object_path,
            v.c.inventory_digest,
            v.c.stored_bytes,
            schema.tiers.c.name.label("tier"),
        )
        .join(v, version)
        .join(o, o.c.id == t.c.object_id)
        .join(schema.tiers, schema.tiers.c.id == t.c.tier_id)
    )


def _transfer(row: sa.Row[tuple[object, ...]]) -> Transfer:
    return Transfer(
        object_id=ObjectId(row.uri),
        object_path=row.object_path,
        version=row.version,
        tier=row.tier,
        state=TransferState(row.state),
        wanted_at=row.wanted_at,
        verified_copies=row.verified_copies,
        stored_bytes=row.stored_bytes,
        inventory_digest=row.inventory_digest,
        attempts=row.attempts,
        problem=row.problem,
    )


def _object_key(connection: Connection, object_id: ObjectId) -> int:
    table = schema.objects
    return int(connection.execute(sa.select(table.c.id).where(table.c.uri == object_id.uri)).scalar_one())


def _oldest(connection: Connection, tier: str, state: str) -> datetime | None:
    t = schema.transfers.c
    query = sa.select(t.wanted_at).where(t.tier_id == tier_id(connection, tier), t.state == state)
    return connection.execute(query.order_by(t.wanted_at).limit(1)).scalar()


def _count_transfer(counters: Counters, transfer: Transfer, state: str, sign: int) -> None:
    scope = transfers_scope(transfer.tier, state)
    add(counters, scope, copies=sign, stored_bytes=sign * transfer.stored_bytes)


def _verified(
    connection: Connection,
    key: int,
    transfer: Transfer,
    *,
    tier: str,
    at: datetime,
    location: str | None,
    counters: Counters,
) -> None:
    """Make the tier's copy a verified one, whether it had a row or not; others that wait see one more."""
    rows = schema.copies
    row = {
        "object_id": key,
        "version": transfer.version,
        "tier_id": tier_id(connection, tier),
        "state": CopyState.VERIFIED,
        "stored_at": at,
        "verified_at": at,
        "location": location,
    }
    made = connection.execute(insert(connection, rows).values(row).on_conflict_do_nothing().returning(rows.c.version))
    if made.first() is not None:
        add(counters, copies_scope(tier, CopyState.VERIFIED), copies=1, stored_bytes=transfer.stored_bytes)
        before = None
    else:
        before = _set_state(connection, key, transfer, tier=tier, state=CopyState.VERIFIED, at=at, counters=counters)
    if before != CopyState.VERIFIED:
        _change_urgency(connection, key, transfer.version, 1)


def _set_state(
    connection: Connection,
    key: int,
    transfer: Transfer,
    *,
    tier: str,
    state: CopyState,
    at: datetime | None,
    counters: Counters,
) -> str | None:
    """Change the state of a copy; returns the one before, None when there is no such copy."""
    c = schema.copies.c
    where = (c.object_id == key, c.version == transfer.version, c.tier_id == tier_id(connection, tier))
    before = connection.execute(sa.select(c.state).where(*where).with_for_update()).scalar()
    if before is None:
        return None
    values = {"state": state} | ({} if at is None else {"verified_at": at})
    connection.execute(sa.update(schema.copies).where(*where).values(values))
    add(counters, copies_scope(tier, before), copies=-1, stored_bytes=-transfer.stored_bytes)
    add(counters, copies_scope(tier, state), copies=1, stored_bytes=transfer.stored_bytes)
    if before == CopyState.VERIFIED and state != CopyState.VERIFIED:
        _change_urgency(connection, key, transfer.version, -1)
    return str(before)


def _change_urgency(connection: Connection, key: int, version: int, change: int) -> None:
    t = schema.transfers.c
    connection.execute(
        sa.update(schema.transfers)
        .where(t.object_id == key, t.version == version)
        .values(verified_copies=t.verified_copies + change)
    )


def _forget(connection: Connection, key: int, transfer: Transfer, *, counters: Counters) -> None:
    t = schema.transfers.c
    where = (t.object_id == key, t.version == transfer.version, t.tier_id == tier_id(connection, transfer.tier))
    gone = connection.execute(sa.delete(schema.transfers).where(*where).returning(t.state)).scalar()
    if gone is not None:
        _count_transfer(counters, transfer, gone, -1)


def _mark(connection: Connection, name: str, value: str) -> None:
    statement = insert(connection, schema.marks).values(name=name, value=value)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"value": statement.excluded.value})
    )
