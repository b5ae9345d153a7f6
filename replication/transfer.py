"""One transfer: a version is read from a tier, put on another, and read back there; what it came to is a value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from replication.tier_pool import TierPool
from repository.catalog.catalog import Catalog
from repository.clock import Clock
from repository.errors import (
    CopyConflictError,
    IntegrityError,
    NotFoundError,
    OperationCancelledError,
    PlacementError,
    RepositoryError,
    SourceReadError,
    TierDeniedError,
    TierUnavailableError,
    UnreadableError,
)
from repository.model import (
    CopyRecord,
    CopyState,
    Event,
    EventOutcome,
    EventType,
    Metadata,
    ObjectId,
    Transfer,
    TransferState,
)
from repository.stop import StopToken
from storage_tiers.fixity_outcome import Depth, FixityOutcome, FixityState
from storage_tiers.port import ExpectedVersion, Placed, PutStatus, StorageTier, VersionRef

Wanted = Callable[[Metadata], Sequence[str]]
"""Names of the tiers on which an object with such metadata belongs."""


class TransferStatus(StrEnum):
    """What a transfer came to."""

    COPIED = "copied"
    ALREADY_PRESENT = "already present"
    """It was there, and was read back now."""
    SOURCE_FAILED = "source failed"
    """No copy could be read whole; the target is as it was."""
    TARGET_FAILED = "target failed"
    CONFLICT = "conflict"
    """Something else lies there, or the object may not lie there: a person must look."""

    @property
    def is_done(self) -> bool:
        """Whether the tier has a verified copy now."""
        return self in (TransferStatus.COPIED, TransferStatus.ALREADY_PRESENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferOutcome:
    """What one transfer came to.

    Args:
        source: the tier that it was read from; None when none could be.
        error: why it failed.
        send_s: seconds of reading and putting.
        read_back_s: seconds of reading back.
    """

    transfer: Transfer
    status: TransferStatus
    source: str | None = None
    error: RepositoryError | None = None
    send_s: float = 0.0
    read_back_s: float = 0.0


class _FailureError(Exception):
    """Ends a transfer early."""

    def __init__(self, *, status: TransferStatus, error: RepositoryError) -> None:
        super().__init__(str(error))
        self.status, self.error = status, error


class Transferrer:
    """Makes transfers; may be used from several threads.

    Args:
        catalog: opened.
        tiers: the tiers to read from and put on.
        wanted: where objects belong; asked again just before each transfer.
        agent: who is named in the events.
        clock: what tells the time.
        stop: ends what is under way at its next chunk.
    """

    def __init__(
        self, catalog: Catalog, tiers: TierPool, *, wanted: Wanted, agent: str, clock: Clock, stop: StopToken
    ) -> None:
        self._catalog, self._tiers, self._wanted = catalog, tiers, wanted
        self._agent, self._clock, self._stop = agent, clock, stop

    def transfer_object(
        self, object_id: ObjectId, target: str, *, with_conflicts: bool = False
    ) -> list[TransferOutcome]:
        """Give a tier every version of an object that it is owed, oldest first, up to the first that fails.

        What is owed is asked again here: somebody else may have done it meanwhile. Conflicts are left to a person,
        unless he asks for another attempt.

        Raises:
            CatalogError: the catalogue cannot be used.
            OperationCancelledError: stop was set.
        """
        outcomes: list[TransferOutcome] = []
        record = self._catalog.find_object(object_id)
        if record is None or target not in self._wanted(record.metadata):
            return outcomes
        for transfer in self._catalog.transfers.of_object(object_id):
            if transfer.tier != target or (transfer.state is TransferState.CONFLICT and not with_conflicts):
                continue
            if target in self._tiers.down:
                break
            outcomes.append(self._transfer(transfer))
            if not outcomes[-1].status.is_done:
                break
        return outcomes

    def _transfer(self, transfer: Transfer) -> TransferOutcome:
        try:
            return self._done(transfer)
        except OperationCancelledError:
            raise
        except _FailureError as failure:
            return self._failed(transfer, failure.status, failure.error)

    def _done(self, transfer: Transfer) -> TransferOutcome:
        target = self._target(transfer)
        began_s = self._clock.monotonic_s()
        placed, source = self._put(transfer, target)
        sent_s = self._clock.monotonic_s()
        outcome = self._read_back(transfer, target, placed)
        is_new = placed.status is PutStatus.STORED
        event = Event(
            type=EventType.REPLICATION,
            at=self._clock.now(),
            outcome=EventOutcome.SUCCESS,
            agent=self._agent,
            object_id=transfer.object_id,
            version=transfer.version,
            tier=transfer.tier,
            detail={
                "source": source,
                "status": placed.status,
                "inventory_digest": transfer.inventory_digest,
                "read_back_bytes": outcome.read_bytes,
            },
        )
        self._catalog.transfers.finish(
            [transfer], at=event.at, location=placed.location, events=[event], source=source if is_new else None
        )
        return TransferOutcome(
            transfer=transfer,
            status=TransferStatus.COPIED if is_new else TransferStatus.ALREADY_PRESENT,
            source=source,
            send_s=sent_s - began_s,
            read_back_s=self._clock.monotonic_s() - sent_s,
        )

    def _target(self, transfer: Transfer) -> StorageTier:
        try:
            return self._tiers.open(transfer.tier)
        except RepositoryError as error:
            raise _FailureError(status=TransferStatus.TARGET_FAILED, error=error) from error

    # sending

    def _put(self, transfer: Transfer, target: StorageTier) -> tuple[Placed, str]:
        """Put the version, from the first source that is whole; returns where it is, and the source."""
        problem: RepositoryError | None = None
        for copy in self._sources(transfer):
            try:
                return self._put_from(copy, transfer, target), copy.tier
            except SourceReadError as error:
                problem = error.cause
                self._source_failed(transfer, copy, error.cause)
        raise _FailureError(
            status=TransferStatus.SOURCE_FAILED,
            error=problem
            or NotFoundError(
                "There is no copy to read from",
                where=transfer.object_id,
                why="every other copy is damaged, or its tier is down",
                next_step="`jindang show` tells what is known of each copy; `jindang status` which tiers are there",
            ),
        )

    def _sources(self, transfer: Transfer) -> list[CopyRecord]:
        """Copies to read from: on tiers that are up, not known bad; verified and quickly read ones first."""
        found = []
        for copy in self._catalog.list_copies(transfer.object_id):
            usable = copy.version == transfer.version and copy.tier != transfer.tier
            if usable and copy.state is not CopyState.DAMAGED and copy.tier in self._tiers.names:
                try:
                    tier = self._tiers.open(copy.tier)
                except RepositoryError:
                    continue  # one state of the tier, told once, at the end of the run
                order = self._tiers.names.index(copy.tier)
                rank = (tier.capabilities.recall_delay_s, order, copy.state is not CopyState.VERIFIED)
                found.append((rank, copy))
        return [copy for _, copy in sorted(found, key=lambda pair: pair[0])]

    def _put_from(self, copy: CopyRecord, transfer: Transfer, target: StorageTier) -> Placed:
        ref = VersionRef(transfer.object_path, transfer.version)
        try:
            opened = self._tiers.open(copy.tier).open_version(ref, location=copy.location)
        except OperationCancelledError:
            raise
        except RepositoryError as error:
            raise SourceReadError(error) from error
        with opened as source:
            if (
                source.summary.record.inventory_digest != transfer.inventory_digest
                or source.inventory.id != transfer.object_id.uri
            ):
                raise SourceReadError(
                    IntegrityError(
                        "The copy to read from is another one than the catalogue knows",
                        where=transfer.object_id,
                        why=f"its inventory is {source.summary.record.inventory_digest[:16]}",
                        next_step="`jindang show` tells what is known of each copy; a person must look",
                    )
                )
            try:
                return target.put_version(source, stop=self._stop)
            except (SourceReadError, OperationCancelledError):
                raise
            except (CopyConflictError, PlacementError) as error:
                raise _FailureError(status=TransferStatus.CONFLICT, error=error) from error
            except RepositoryError as error:
                if isinstance(error, TierUnavailableError):
                    self._tiers.mark_down(transfer.tier, error)
                raise _FailureError(status=TransferStatus.TARGET_FAILED, error=error) from error

    def _source_failed(self, transfer: Transfer, copy: CopyRecord, error: RepositoryError) -> None:
        """A source that is bad is noted as damaged, so that nobody reads it again; one that is away is not."""
        if isinstance(error, IntegrityError | NotFoundError | UnreadableError):
            event = self._event(transfer, EventType.FIXITY_CHECK, tier=copy.tier, error=error)
            self._catalog.transfers.mark_damaged(transfer, tier=copy.tier, events=[event])
        elif isinstance(error, TierUnavailableError):
            self._tiers.mark_down(copy.tier, error)

    # reading back

    def _read_back(self, transfer: Transfer, target: StorageTier, placed: Placed) -> FixityOutcome:
        """Read every byte of the new copy; what is not what was sent is moved out of the way."""
        expected = ExpectedVersion(
            object_id=transfer.object_id,
            ref=VersionRef(transfer.object_path, transfer.version),
            inventory_digest=transfer.inventory_digest,
            location=placed.location,
        )
        outcome = target.verify_version(expected, depth=Depth.FULL, stop=self._stop)
        if outcome.state is FixityState.VERIFIED:
            return outcome
        first = outcome.findings[0]
        error = IntegrityError(
            "The new copy is not what was sent" if placed.status is PutStatus.STORED else "The copy is damaged",
            where=transfer.object_id,
            why="; ".join(filter(None, (outcome.state, first.path, first.expected, first.observed, first.detail))),
            next_step=f"the copy on tier {transfer.tier!r} does not count; the next run tries again",
        )
        status = TransferStatus.TARGET_FAILED
        if outcome.state in (FixityState.MISMATCH, FixityState.MISSING):
            try:
                target.quarantine_version(
                    expected.ref, note={"reason": str(error), "at": self._clock.now().isoformat()}
                )
                self._owe_again(transfer, target)
            except TierDeniedError:
                status = TransferStatus.CONFLICT  # an immutable tier keeps it; the name will never be free
            except RepositoryError:
                pass  # the next run finds it again
        raise _FailureError(status=status, error=error)

    def _owe_again(self, transfer: Transfer, target: StorageTier) -> None:
        """What went into quarantine with the version, because the tier gives up objects as a whole, is owed again."""
        copies = self._catalog.list_copies(transfer.object_id)
        numbers = sorted(copy.version for copy in copies if copy.tier == transfer.tier)
        gone = [number for number in numbers if not _is_there(target, VersionRef(transfer.object_path, number))]
        if gone:
            self._catalog.transfers.requeue(transfer.object_id, gone, tier=transfer.tier)

    # telling

    def _failed(self, transfer: Transfer, status: TransferStatus, error: RepositoryError) -> TransferOutcome:
        is_conflict = status is TransferStatus.CONFLICT
        self._catalog.transfers.fail(
            transfer,
            problem=str(error),
            state=TransferState.CONFLICT if is_conflict else TransferState.WAITING,
            events=[self._event(transfer, EventType.REPLICATION, tier=transfer.tier, error=error)],
        )
        return TransferOutcome(transfer=transfer, status=status, error=error)

    def _event(self, transfer: Transfer, kind: EventType, *, tier: str, error: RepositoryError) -> Event:
        return Event(
            type=kind,
            at=self._clock.now(),
            outcome=EventOutcome.FAILURE,
            agent=self._agent,
            object_id=transfer.object_id,
            version=transfer.version,
            tier=tier,
            detail=error.as_json(),
        )


def _is_there(tier: StorageTier, ref: VersionRef) -> bool:
    try:
        tier.stat_version(ref)
    except NotFoundError:
        return False
    return True
