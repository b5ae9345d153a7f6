"""An ingest run: packages go to the workers, versions come back and are put into place in groups.

While one group is being made durable, the workers go on with the next; so the medium, the hashing and the reading
work at the same time. Memory: the packages under way, never the run.
"""

import contextlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from dataclasses import dataclass

import structlog

from repository.catalog.catalog import Catalog
from repository.clock import Clock
from repository.durable import FileSystemSync, tier_errors
from repository.errors import (
    ConflictError,
    InvalidInputError,
    OperationCancelledError,
    PackageError,
    RepositoryError,
    WorkerLostError,
)
from repository.ingest.commit import VersionCommitter
from repository.ingest.recover import recover
from repository.ingest.request import IngestOutcome, IngestRequest, IngestRules, IngestStatus
from repository.ingest.stage import StagedVersion, StageTask
from repository.ingest.workers import Progress, Staging, open_staging
from repository.model import Event, EventOutcome, EventType
from repository.ocfl.staging import StagingSession
from repository.ocfl.storage_root import StorageRoot
from repository.stop import StopToken

UNDER_WAY = 32
"""Packages with the workers or waiting to be put into place, for each worker."""

GROUP_VERSIONS = 50
GROUP_BYTES = 256 << 20
GROUP_S = 1.0
"""A group is put into place when one of these is reached, or nothing else is under way."""

ATTEMPTS = 5
"""How often a package is tried when others change the same object at the same time."""

RETRY_DELAY_S = 0.05
STOP_POLL_S = 0.2

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    request: IngestRequest
    attempt: int = 1


class _Group:
    """Staged versions that wait to be put into place together."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._begun_s = 0.0
        self._stored_bytes = 0
        self.jobs: list[_Job] = []
        self.versions: list[StagedVersion] = []

    def add(self, job: _Job, version: StagedVersion) -> None:
        if not self.jobs:
            self._begun_s = self._clock.monotonic_s()
        self.jobs.append(job)
        self.versions.append(version)
        self._stored_bytes += version.record.head.stored_bytes if version.record else 0

    @property
    def is_due(self) -> bool:
        """Whether it is worth its own sync and transaction, or has waited long enough."""
        if not self.jobs:
            return False
        return (
            len(self.jobs) >= GROUP_VERSIONS
            or self._stored_bytes >= GROUP_BYTES
            or self._clock.monotonic_s() - self._begun_s >= GROUP_S
        )


class _Backlog:
    """The packages still to be done; those to be tried again come first."""

    def __init__(self, requests: Iterable[IngestRequest]) -> None:
        self._again: deque[_Job] = deque()
        self._requests = iter(requests)

    def next(self) -> _Job | None:
        if self._again:
            return self._again.popleft()
        request = next(self._requests, None)
        return None if request is None else _Job(request)

    def try_again(self, job: _Job) -> None:
        self._again.append(_Job(job.request, job.attempt + 1))


class IngestRun:
    """One run over many packages.

    Args:
        catalog: opened.
        root: storage root of the primary tier.
        tier: the tier's name in the catalogue.
        rules: what holds for every package.
        workers: processes that read and hash; 1 does it in this process.
        dry_run: check everything, write nothing.
        clock: what tells the time.
        stop: ends the run; packages under way are given up, what was acknowledged stays.
    """

    def __init__(
        self,
        catalog: Catalog,
        root: StorageRoot,
        *,
        tier: str,
        rules: IngestRules,
        workers: int,
        clock: Clock,
        stop: StopToken,
        dry_run: bool = False,
    ) -> None:
        self._catalog, self._root, self._tier, self._rules = catalog, root, tier, rules
        self._workers, self._clock, self._stop, self._dry_run = workers, clock, stop, dry_run
        self.progress: Progress | None = None

    def ingest(self, requests: Iterable[IngestRequest]) -> Generator[IngestOutcome]:
        """Take in packages; one that fails stops none of the others.

        Yields: one outcome for each request, in the order in which they are finished. A version is durable and in the
            catalogue when its outcome comes.

        Raises:
            TierError, CatalogError: the tier or the catalogue cannot be used at all.
            WorkerLostError: a worker process was killed; what was not acknowledged is undone.
            OperationCancelledError: stop was set.
        """
        if self._dry_run:
            with _worker_lost(), open_staging(self._workers, None) as staging:
                self.progress = staging.progress
                yield from self._run(_Backlog(requests), staging=staging)
            return
        self._recover()
        with (
            tier_errors(self._root.path),
            _worker_lost(),
            StagingSession(self._root.path) as session,
            FileSystemSync(self._root.path) as sync,
            open_staging(self._workers, session.folder) as staging,
        ):
            committer = VersionCommitter(self._catalog, self._root, tier=self._tier, session=session.name, sync=sync)
            self.progress = staging.progress
            yield from self._run(_Backlog(requests), staging=staging, session=session, committer=committer)

    def _recover(self) -> None:
        for problem in recover(self._catalog, self._root, tier=self._tier).problems:
            log.error("an object needs attention", problem=str(problem))

    def _run(
        self,
        backlog: "_Backlog",
        *,
        staging: Staging,
        session: StagingSession | None = None,
        committer: VersionCommitter | None = None,
    ) -> Iterator[IngestOutcome]:
        """The loop; without session and committer, a dry run."""
        under_way: dict[Future[StagedVersion], _Job] = {}
        group = _Group(self._clock)
        while True:
            while len(under_way) + len(group.jobs) < UNDER_WAY * self._workers and (job := backlog.next()):
                under_way[staging.submit(self._task(job, session))] = job
            if not under_way and not group.jobs:
                return
            done, _ = wait(under_way, timeout=STOP_POLL_S, return_when=FIRST_COMPLETED)
            if self._stop.is_set:
                staging.stop()
                self._stop.check()
            answers: list[tuple[_Job, StagedVersion | RepositoryError]] = []
            for future in done:
                job, answer = under_way.pop(future), _result(future)
                if committer is not None and isinstance(answer, StagedVersion) and answer.record is not None:
                    group.add(job, answer)
                else:
                    answers.append((job, answer))
            if committer is not None and (group.is_due or not under_way):
                errors = committer.commit(group.versions)
                answers += [(job, e or v) for job, v, e in zip(group.jobs, group.versions, errors, strict=True)]
                group = _Group(self._clock)
            for job, answer in answers:
                outcome = self._outcome(job, answer, backlog)
                if outcome is not None:
                    yield outcome

    def _task(self, job: _Job, session: StagingSession | None) -> StageTask:
        return StageTask(
            request=job.request,
            rules=self._rules,
            storage_root=self._root.path,
            folder=None if session is None else session.new_folder(),
            created=self._clock.now(),
        )

    def _outcome(
        self, job: "_Job", answer: StagedVersion | RepositoryError, backlog: "_Backlog"
    ) -> IngestOutcome | None:
        """What to tell of a package; None when it is tried again, because others were in the way."""
        if isinstance(answer, StagedVersion) and answer.record is None and not self._is_recorded(answer):
            answer = ConflictError(
                "This content is on storage, but not yet in the catalogue",
                where=answer.object_id,
                why="somebody else is putting it into place",
                next_step="run the same command again; if this stays, `jindang catalog rebuild` records it",
            )
        if isinstance(answer, StagedVersion):
            return _acknowledge(job, answer)
        if isinstance(answer, OperationCancelledError):
            raise answer
        if isinstance(answer, ConflictError) and job.attempt < ATTEMPTS:
            if not self._dry_run:
                self._recover()
            self._stop.wait(RETRY_DELAY_S * job.attempt)
            backlog.try_again(job)
            return None
        if not self._dry_run:
            self._catalog.record_event(self._failure(job, answer))
        log.warning("package not ingested", package=str(job.request.source), error=answer.what)
        refused = isinstance(answer, PackageError | InvalidInputError)
        return IngestOutcome(
            source=job.request.source,
            status=IngestStatus.REFUSED if refused else IngestStatus.FAILED,
            error=answer,
        )

    def _is_recorded(self, version: StagedVersion) -> bool:
        """Whether what is on storage already was acknowledged; else it may still be undone, or not be durable."""
        record = self._catalog.find_object(version.object_id)
        return record is not None and record.head.number >= version.number.number

    def _failure(self, job: _Job, error: RepositoryError) -> Event:
        return Event(
            type=EventType.INGESTION,
            at=self._clock.now(),
            outcome=EventOutcome.FAILURE,
            agent=self._rules.agent,
            detail={"package": job.request.source.name, **error.as_json()},
        )


@contextlib.contextmanager
def _worker_lost() -> Iterator[None]:
    """Say what it means that the workers can do no more, dry run or not."""
    try:
        yield
    except BrokenExecutor as error:
        raise WorkerLostError(
            "A process that reads packages was ended from outside",
            why="often the system ran out of memory; its log tells",
            next_step="run the same command again: what is finished is not done twice. `--workers 1` needs the least "
            "memory",
        ) from error


def _result(future: "Future[StagedVersion]") -> StagedVersion | RepositoryError:
    """What a worker made of a package; whatever goes wrong with one package is that package's own answer."""
    try:
        return future.result()
    except RepositoryError as error:
        return error
    except BrokenExecutor:
        raise
    except Exception as error:
        log.exception("a fault in the program")
        return RepositoryError(
            "The package could not be taken in because of a fault in Jindang",
            why=f"{type(error).__name__}: {error}",
            next_step="please report this, with the package if you may",
        )


def _acknowledge(job: _Job, version: StagedVersion) -> IngestOutcome:
    status = IngestStatus.UNCHANGED
    if version.record is not None:
        status = IngestStatus.NEW_OBJECT if version.number.number == 1 else IngestStatus.NEW_VERSION
    return IngestOutcome(
        source=job.request.source,
        status=status,
        object_id=version.object_id,
        version=version.number.number,
        files=version.files,
        size_bytes=version.size_bytes,
        stored_bytes=version.record.head.stored_bytes if version.record else 0,
        warnings=version.warnings,
    )
