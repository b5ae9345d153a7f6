"""Writing the content of a version into staging: every byte hashed once, written once, known content not kept."""

import contextlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO, cast

from repository.durable import tier_error
from repository.hashing import CHUNK_BYTES, MultiHasher, copy_and_hash
from repository.ingest.request import Meter
from repository.overlapped import WriteError, copy_overlapped
from repository.stop import StopToken

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class ContentWriter:
    """The content of one version in the making; `add` may be called from several threads.

    Args:
        folder: the staged object; None hashes only, and writes nothing.
        content_root: where content goes below it, `v1/content`.
        algorithm: the object's digest algorithm.
        known: digests that the object has stored already.
        meter: told the bytes of each chunk.
        stop: polled once a chunk.
    """

    def __init__(
        self,
        folder: Path | None,
        content_root: str,
        *,
        algorithm: str,
        known: Iterable[str],
        meter: Meter,
        stop: StopToken,
    ) -> None:
        self._folder = folder
        self._content_root = content_root
        self._algorithm = algorithm
        self._stored = set(known)
        self._meter = meter
        self._stop = stop
        self._lock = threading.Lock()
        self._local = threading.local()
        self._folders: set[str] = set()
        self._dropped = False
        self.state: dict[str, str] = {}
        """Logical path -> digest."""
        self.added: dict[str, str] = {}
        """Content path -> digest, of what is new to the object."""
        self.sizes: dict[str, int] = {}
        """Content path -> bytes, of what is new to the object."""

    def add(
        self, logical_path: str, stream: BinaryIO, *, algorithms: Iterable[str] = (), is_large: bool = False
    ) -> dict[str, str]:
        """Take in one file.

        Args:
            logical_path: not used before in this version.
            stream: read to its end.
            is_large: it will be many chunks, worth writing in a thread of its own.
            algorithms: digests wanted besides the object's own.

        Returns: algorithm -> digest.

        Raises:
            TierError: the tier cannot be written.
            PackageError: as the stream raises it.
            OperationCancelledError: stop was set.
        """
        hasher = MultiHasher([self._algorithm, *algorithms])
        content_path = f"{self._content_root}/{logical_path}"
        if self._folder is None:
            copy_and_hash(stream, self._count, hasher, stop=self._stop, buffer=self._buffer())
        else:
            self._write(self._folder / content_path, stream, hasher, is_large=is_large)
        digests = hasher.digests()
        digest = digests[self._algorithm]
        with self._lock:
            self.state[logical_path] = digest
            is_new = digest not in self._stored
            if is_new:
                self._stored.add(digest)
                self.added[content_path] = digest
                self.sizes[content_path] = hasher.size_bytes
        if not is_new and self._folder is not None:
            (self._folder / content_path).unlink()
            self._dropped = True
        return digests

    def finish(self) -> None:
        """Remove the folders that were left empty; an OCFL object has none."""
        if self._folder is None or not self._dropped:
            return
        for folder, _, _ in os.walk(self._folder / self._content_root, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()

    def _write(self, target: Path, stream: BinaryIO, hasher: MultiHasher, *, is_large: bool) -> None:
        parent = str(target.parent)
        try:
            if parent not in self._folders:
                target.parent.mkdir(parents=True, exist_ok=True)
                self._folders.add(parent)
            fd = os.open(target, _CREATE, 0o444)
        except OSError as error:
            raise tier_error(error, target) from error

        def write(chunk: memoryview) -> None:
            self._count(chunk)
            try:
                while len(chunk):
                    chunk = chunk[os.write(fd, chunk) :]
            except OSError as error:
                raise tier_error(error, target) from error

        try:
            if is_large:
                copy_overlapped(stream, fd, hasher, stop=self._stop, on_read=self._meter.read)
            else:
                copy_and_hash(stream, write, hasher, stop=self._stop, buffer=self._buffer())
        except WriteError as error:
            raise tier_error(cast("OSError", error.__cause__), target) from error
        finally:
            os.close(fd)

    def _count(self, chunk: memoryview) -> None:
        self._meter.read(len(chunk))

    def _buffer(self) -> bytearray:
        """One for each thread."""
        buffer: bytearray | None = getattr(self._local, "buffer", None)
        if buffer is None:
            buffer = self._local.buffer = bytearray(CHUNK_BYTES)
        return buffer
