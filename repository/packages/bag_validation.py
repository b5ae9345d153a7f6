"""Whether a bag is valid: every problem and every warning at once, for `jindang bag validate`."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from repository.errors import PackageError
from repository.hashing import CHUNK_BYTES, MultiHasher, copy_and_hash
from repository.packages.bag_structure import BagStructure, read_structure
from repository.packages.findings import FatalFindingError, Findings
from repository.packages.listing import CollisionPolicy
from repository.packages.opening import open_source
from repository.packages.package import Limits, PackageFile
from repository.packages.source import Source
from repository.stop import StopToken


@dataclass(frozen=True, slots=True, kw_only=True)
class BagReport:
    """What `validate_bag` found. The same bag always gives the same report.

    Attributes:
        valid: whether it is complete and every digest is right (RFC 8493 section 3).
        version: as `1.0`; None where bagit.txt could not be understood.
        errors: why it is not valid; empty when it is.
        warnings: what is lawful but should be looked at.
        files: how many, tag files included.
        size_bytes: of all files together.
    """

    valid: bool
    version: str | None
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    files: int
    size_bytes: int


def validate_bag(path: Path, *, limits: Limits, stop: StopToken, workers: int = 2) -> BagReport:
    """Validate a bag in a folder or an archive; nothing is written and nothing is fetched.

    Names that collide on some file systems are warnings here, although ingest refuses them.

    Args:
        path: a folder, .zip, .tar, .tar.gz or .tgz.
        limits: as for ingest.
        stop: polled while listing and once a chunk.
        workers: how many files are read at the same time (one, out of tar.gz).

    Returns: a report; a bad bag is no exception. Memory: as `open_package`, and a chunk of 1 MiB for each worker.

    Raises:
        OperationCancelledError: stop was set.
    """
    findings = Findings()
    source = open_source(path, CollisionPolicy.WARN, limits, findings, stop)
    structure = None
    if source is not None:
        try:
            structure = read_structure(source, CollisionPolicy.WARN, limits, findings)
            if structure is not None:
                _verify(source, structure, findings, stop, workers)
        except FatalFindingError:
            pass
        except PackageError as error:
            _add(error, findings)
        finally:
            source.close()
    errors = findings.errors
    files = source.files if source is not None else ()
    return BagReport(
        valid=not errors,
        version=None if structure is None else str(structure.declaration),
        errors=errors,
        warnings=findings.warnings,
        files=len(files),
        size_bytes=sum(file.size_bytes for file in files),
    )


def _verify(source: Source, structure: BagStructure, findings: Findings, stop: StopToken, workers: int) -> None:
    """Read every file that a manifest lists, and compare its digests."""
    problems: dict[str, list[str]] = {}
    if not source.random_access:
        for file, stream in source.contents():
            problems[file.path] = _compare(file, stream, structure, stop)
    else:
        queue = _SharedFiles(iter(source.files))
        threads = [
            threading.Thread(target=_work, args=(queue, source, structure, problems, stop), daemon=True)
            for _ in range(max(1, workers))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        queue.raise_failure()
        stop.check()
    for file in source.files:
        for problem in problems.get(file.path, ()):
            findings.error(problem)


class _SharedFiles:
    """The files still to be read, and the first failure of a worker that is no finding."""

    def __init__(self, files: Iterator[PackageFile]) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._failure: BaseException | None = None

    def next(self) -> PackageFile | None:
        """The next file; None when there is none or a worker failed."""
        with self._lock:
            return next(self._files, None) if self._failure is None else None

    def fail(self, failure: BaseException) -> None:
        """Stop all workers."""
        with self._lock:
            self._failure = self._failure or failure

    def raise_failure(self) -> None:
        """Raise what stopped the workers, if anything did."""
        if self._failure is not None:
            raise self._failure


def _work(
    queue: _SharedFiles, source: Source, structure: BagStructure, problems: dict[str, list[str]], stop: StopToken
) -> None:
    buffer = bytearray(CHUNK_BYTES)
    try:
        while not stop.is_set and (file := queue.next()) is not None:
            try:
                with source.open(file) as stream:
                    found = _compare(file, stream, structure, stop, buffer)
            except PackageError as error:
                found = list(error.problems or (str(error),))
            if found:
                problems[file.path] = found
    except BaseException as failure:  # noqa: BLE001 - raised again in the thread that waits
        queue.fail(failure)


def _compare(
    file: PackageFile,
    stream: BinaryIO,
    structure: BagStructure,
    stop: StopToken,
    buffer: bytearray | None = None,
) -> list[str]:
    algorithms = structure.algorithms_for(file.path)
    if not algorithms:
        return []
    hasher = MultiHasher(algorithms)
    copy_and_hash(stream, None, hasher, stop=stop, buffer=buffer)
    return structure.mismatches(file.path, hasher.digests())


def _add(error: PackageError, findings: Findings) -> None:
    for problem in error.problems or (str(error),):
        findings.error(problem)
