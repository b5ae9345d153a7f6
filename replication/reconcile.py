"""The reconciler: compares what tiers hold with what they are owed, and closes the difference.

The queue in the catalogue says what is owed; so a run knows its work without looking at what is done already, and a
run that is killed, or two at once, lose nothing: the queue is asked again for each object before its transfer.
"""

import heapq
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from replication.tier_pool import TierPool
from replication.transfer import TransferOutcome, Transferrer, Wanted
from repository.catalog.catalog import Catalog
from repository.clock import Clock
from repository.errors import RepositoryError
from repository.model import ObjectId, Transfer
from repository.stop import StopToken

PAGE = 200
STOP_POLL_S = 0.2
QUEUED = 2
"""Objects handed out and not begun, for each thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """All that one tier is owed of one object."""

    object_id: ObjectId
    target: str


class Replication:
    """Runs of the reconciler.

    Args:
        catalog: opened.
        tiers: every tier that is to be read from or put on.
        wanted: where objects belong, by policy and law.
        agent: who is named in the events.
        clock: what tells the time.
        stop: ends a run; transfers under way are given up, and what was read back stays.
        parallel: how many objects are on their way at once.
    """

    def __init__(
        self,
        catalog: Catalog,
        tiers: TierPool,
        *,
        wanted: Wanted,
        agent: str,
        clock: Clock,
        stop: StopToken,
        parallel: int,
    ) -> None:
        self._catalog, self._tiers, self._stop, self._parallel = catalog, tiers, stop, parallel
        self._transferrer = Transferrer(catalog, tiers, wanted=wanted, agent=agent, clock=clock, stop=stop)

    @property
    def down(self) -> dict[str, RepositoryError]:
        """Tiers that could not be used in this run, each with its one reason."""
        return dict(self._tiers.down)

    def run(
        self, targets: Sequence[str], *, object_id: ObjectId | None = None, limit_bytes: int | None = None
    ) -> Generator[TransferOutcome]:
        """Give tiers what they are owed: the most endangered first (fewest verified copies), then the oldest.

        Args:
            targets: names of tiers; one that is down is left out and named in `down`.
            object_id: this object alone, also where an earlier attempt ended in a conflict.
            limit_bytes: begin no more than so much.

        Yields: outcomes as they come. Memory: one page of the queue for each tier.

        Raises:
            CatalogError: the catalogue cannot be used.
            OperationCancelledError: stop was set.
        """
        targets = [target for target in targets if self._is_up(target)]
        if object_id is not None:
            jobs: Iterator[Job] = iter([Job(object_id=object_id, target=target) for target in targets])
        else:
            jobs = self._jobs(targets, limit_bytes=limit_bytes)
        under_way: dict[Future[list[TransferOutcome]], Job] = {}
        with ThreadPoolExecutor(self._parallel, thread_name_prefix="replicate") as threads:
            try:
                while True:
                    while len(under_way) < QUEUED * self._parallel and (job := next(jobs, None)):
                        if job in under_way.values():
                            continue  # it asks the queue for all versions; twice at once, each would be sent twice
                        future = threads.submit(
                            self._transferrer.transfer_object,
                            job.object_id,
                            job.target,
                            with_conflicts=object_id is not None,
                        )
                        under_way[future] = job
                    if not under_way:
                        return
                    for future in wait(under_way, timeout=STOP_POLL_S, return_when=FIRST_COMPLETED).done:
                        del under_way[future]
                        yield from future.result()
                    self._stop.check()
            except BaseException:
                threads.shutdown(wait=True, cancel_futures=True)
                raise

    def _is_up(self, target: str) -> bool:
        try:
            self._tiers.open(target)
        except RepositoryError:
            return False
        return True

    def _jobs(self, targets: Sequence[str], *, limit_bytes: int | None) -> Iterator[Job]:
        """What to do, in order, over all targets; several versions of an object are one job where they follow."""
        queues = [self._queue(target) for target in targets]
        merged = heapq.merge(*queues, key=lambda transfer: (transfer.verified_copies, transfer.wanted_at))
        given, last = 0, None
        for transfer in merged:
            if limit_bytes is not None and given >= limit_bytes:
                return
            given += transfer.stored_bytes
            job = Job(object_id=transfer.object_id, target=transfer.tier)
            if job != last and transfer.tier not in self._tiers.down:
                last = job
                yield job

    def _queue(self, target: str) -> Iterator[Transfer]:
        after = None
        while True:
            page, after = self._catalog.transfers.waiting(target, limit=PAGE, after=after)
            yield from page
            if len(page) < PAGE:
                return
