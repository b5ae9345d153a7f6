"""Copying a large file: one chunk is written, past the page cache, while the next one is read and hashed.

Past the page cache (O_DIRECT) because nobody will read the file again soon, and because the sync that follows then
has nothing left to wait for: a film of 100 GB neither pushes everything else out of memory nor stalls the machine.
"""

import errno
import fcntl
import mmap
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

from repository.hashing import MultiHasher
from repository.stop import StopToken

CHUNK_BYTES = 4 << 20
BLOCK_BYTES = 4096
"""What offsets and lengths of direct writes must be multiples of; no file system in use asks for more."""


def copy_overlapped(
    source: BinaryIO, target_fd: int, hasher: MultiHasher, *, stop: StopToken, on_read: Callable[[int], object]
) -> None:
    """Read a stream to its end, hash what was read, and write just that.

    Args:
        source: read with `readinto`.
        target_fd: a new file, opened for writing; a file system without direct writes is written as usual.
        hasher: takes in every byte, in order.
        stop: polled once a chunk.
        on_read: told the bytes of each chunk.

    Memory: two chunks.

    Raises:
        WriteError: the target could not be written; `__cause__` says why.
        OperationCancelledError: stop was set; the target is incomplete.
        OSError, PackageError: as reading raises them.
    """
    _set_direct(target_fd, on=True)
    pending: Future[None] | None = None
    views = [memoryview(mmap.mmap(-1, CHUNK_BYTES)) for _ in range(2)]  # mmap: direct writes need aligned memory
    with ThreadPoolExecutor(1) as writer:
        while size := _fill(source, views[0]):
            stop.check()
            if pending is not None:
                pending.result()
            pending = writer.submit(_write, target_fd, views[0][:size])
            hasher.update(views[0][:size])
            on_read(size)
            views.reverse()
        if pending is not None:
            pending.result()


class WriteError(Exception):
    """The target, not the source, refused."""


def _fill(source: BinaryIO, view: memoryview) -> int:
    """Read until the view is full or the stream ends; direct writes need whole blocks."""
    filled = 0
    while filled < len(view):
        size = source.readinto(view[filled:])  # type: ignore[attr-defined]
        if not size:
            break
        filled += size
    return filled


def _write(fd: int, chunk: memoryview) -> None:
    try:
        while len(chunk):
            if len(chunk) < BLOCK_BYTES:
                _set_direct(fd, on=False)
            whole = len(chunk) - len(chunk) % BLOCK_BYTES or len(chunk)
            try:
                written = os.write(fd, chunk[:whole])
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                _set_direct(fd, on=False)
                written = os.write(fd, chunk[:whole])
            if written % BLOCK_BYTES:
                _set_direct(fd, on=False)
            chunk = chunk[written:]
    except OSError as error:
        raise WriteError from error


def _set_direct(fd: int, *, on: bool) -> None:
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT if on else flags & ~os.O_DIRECT)
    except OSError as error:
        if not on or error.errno != errno.EINVAL:  # EINVAL: this file system has no direct writes
            raise
