"""What all drivers share in reading: streams that know what they must come to, and the check of a whole copy."""

import errno
import hashlib
import io
from collections.abc import Callable
from typing import BinaryIO

from repository.errors import (
    DigestMismatchError,
    IntegrityError,
    NotFoundError,
    RepositoryError,
    SourceReadError,
    TierError,
    TierUnavailableError,
    UnreadableError,
)
from repository.hashing import CHUNK_BYTES, MultiHasher
from repository.stop import StopToken
from storage_tiers.fixity_outcome import FixityFinding, FixityOutcome, FixityState
from storage_tiers.port import ExpectedVersion, OpenedVersion

_GONE = (errno.ENODEV, errno.ENXIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EREMOTEIO)


class CheckedStream(io.RawIOBase):
    """One file of a version while it is read, in a single pass; opened at the first read.

    Its end comes only when the bytes had the size and the digest that they must have. All that goes wrong, opening
    too, is raised as SourceReadError by reading.
    """

    def __init__(
        self, opener: Callable[[], BinaryIO], *, algorithm: str, digest: str, size_bytes: int, where: str
    ) -> None:
        super().__init__()
        self._opener, self._where = opener, where
        self._digest, self._algorithm, self._size_bytes = digest, algorithm, size_bytes
        self._raw: BinaryIO | None = None
        self._hasher = MultiHasher([algorithm])

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview | bytearray) -> int:  # type: ignore[override]
        """The next bytes; 0 at the end, when everything was what it must be."""
        try:
            if self._raw is None:
                self._raw = self._opener()
            size: int = self._raw.readinto(buffer)  # type: ignore[attr-defined]
        except OSError as error:
            raise SourceReadError(read_error(error, self._where)) from error
        except SourceReadError:
            raise
        except RepositoryError as error:
            raise SourceReadError(error) from error
        if size:
            self._hasher.update(memoryview(buffer)[:size])
        if not size or self._hasher.size_bytes > self._size_bytes:
            self._check()
        return size

    def _check(self) -> None:
        found_bytes, found = self._hasher.size_bytes, self._hasher.digests()[self._algorithm]
        if found_bytes != self._size_bytes:
            raise SourceReadError(
                DigestMismatchError(
                    "A stored file has another size",
                    where=self._where,
                    expected=f"{self._size_bytes:,} bytes",
                    observed=f"{'more' if found_bytes > self._size_bytes else f'{found_bytes:,} bytes'}",
                )
            )
        if found != self._digest:
            raise SourceReadError(
                DigestMismatchError(
                    "A stored file is not what its inventory says",
                    where=self._where,
                    expected=f"{self._algorithm} {self._digest}",
                    observed=f"{self._algorithm} {found}",
                )
            )

    def close(self) -> None:
        """Close the file below."""
        if self._raw is not None and not self.closed:
            self._raw.close()
        super().close()


def read_error(error: OSError, where: object) -> RepositoryError:
    """What an operating system's refusal to read one file means; `durable.tier_error` is about a whole tier."""
    reason = error.strerror or str(error)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NotFoundError("A stored file is missing", where=where, next_step="restore it from another copy")
    if error.errno in _GONE:
        return TierUnavailableError(
            "The storage went away while it was read",
            where=where,
            why=reason,
            next_step="check that the disk is mounted and healthy, then run again",
        )
    return UnreadableError(
        "A stored file could not be read",
        where=where,
        why=reason,
        next_step="look at the system log and the disk's health; restore the file from another copy",
    )


def finding(error: RepositoryError, path: str | None) -> FixityFinding:
    """What an error while reading says of a copy, or of one file of it."""
    if isinstance(error, SourceReadError):
        error = error.cause
    if isinstance(error, DigestMismatchError):
        return FixityFinding(
            state=FixityState.MISMATCH, path=path, expected=error.expected, observed=error.observed, detail=error.what
        )
    state = FixityState.UNREADABLE
    if isinstance(error, IntegrityError):
        state = FixityState.MISMATCH
    elif isinstance(error, NotFoundError):
        state = FixityState.MISSING
    elif isinstance(error, TierError) and not isinstance(error, UnreadableError):
        state = FixityState.UNAVAILABLE
    return FixityFinding(state=state, path=path, detail=str(error))


def identity_findings(opened: OpenedVersion, expected: ExpectedVersion) -> list[FixityFinding]:
    """Whether what was opened is the version that was expected, and not another valid one under its name."""
    inventory, found = opened.inventory, []
    path = f"v{expected.ref.number}/inventory.json"
    digest = hashlib.new(inventory.digest_algorithm, opened.inventory_bytes).hexdigest()
    for what, wanted, observed in (
        ("identifier", expected.object_id.uri, inventory.id),
        ("version", f"v{expected.ref.number}", f"v{inventory.head.number}"),
        (inventory.digest_algorithm, expected.inventory_digest, digest),
    ):
        if wanted != observed:
            found.append(
                FixityFinding(
                    state=FixityState.MISMATCH,
                    path=path,
                    expected=f"{what} {wanted}",
                    observed=f"{what} {observed}",
                    detail="The inventory is another one than was stored",
                )
            )
    return found


def read_in_full(opened: OpenedVersion, expected: ExpectedVersion, *, stop: StopToken) -> FixityOutcome:
    """Read every byte of an opened version and compare it with the inventory, and that with what is expected.

    One bad file does not keep the others from being read. Memory: one chunk.

    Raises:
        OperationCancelledError: stop was set.
    """
    findings = identity_findings(opened, expected)
    files, read_bytes = 0, len(opened.inventory_bytes)
    buffer = memoryview(bytearray(CHUNK_BYTES))
    try:
        for path, stream in opened.contents(stop=stop):
            files += 1
            try:
                while size := stream.readinto(buffer):  # type: ignore[attr-defined]
                    stop.check()
                    read_bytes += size
            except SourceReadError as error:
                findings.append(finding(error, path))
            finally:
                stream.close()
    except SourceReadError as error:  # no further file can be found, or there is one too many
        findings.append(finding(error, None))
    return FixityOutcome(findings=tuple(findings), files=files, read_bytes=read_bytes)
