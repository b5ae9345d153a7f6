"""Reading many files at a time: one pool of threads for a whole run, because hashing and disks work beside Python."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeVar

from repository.hashing import CHUNK_BYTES

_FILES_PER_TASK: Final = 16
_TASKS_AHEAD: Final = 4
_LOCAL: Final = threading.local()

Result = TypeVar("Result")


def chunk_buffer() -> bytearray:
    """One chunk for each thread: allocating it anew costs more than reading a small file."""
    if not hasattr(_LOCAL, "buffer"):
        _LOCAL.buffer = bytearray(CHUNK_BYTES)
    buffer: bytearray = _LOCAL.buffer
    return buffer


@dataclass(frozen=True, slots=True)
class Readers:
    """So many files are read at a time; without a pool, one after the other in the caller's own thread."""

    pool: ThreadPoolExecutor | None
    workers: int

    def each(self, read: Callable[[str], Result], paths: Sequence[str]) -> Iterator[tuple[str, Result]]:
        """Every path with what `read` makes of it, in the order of the paths.

        Small files travel in groups, since handing one over costs as much as reading it. Few groups are under way
        at any time, so that a stop takes effect soon.
        """
        if self.pool is None or len(paths) == 1:
            for path in paths:
                yield path, read(path)
            return
        size = max(1, min(_FILES_PER_TASK, len(paths) // (self.workers * _TASKS_AHEAD)))
        source = iter(paths)
        groups = iter(lambda: list(islice(source, size)), [])
        waiting: list[tuple[list[str], Future[list[Result]]]] = []
        try:
            for group in groups:
                waiting.append((group, self.pool.submit(_read_group, read, group)))
                if len(waiting) >= self.workers * _TASKS_AHEAD:
                    yield from _result(*waiting.pop(0))
            while waiting:
                yield from _result(*waiting.pop(0))
        finally:
            for _, future in waiting:
                future.cancel()


@contextlib.contextmanager
def open_readers(workers: int) -> Iterator[Readers]:
    """Readers for one run; all threads have ended when it is over."""
    if workers <= 1:
        yield Readers(None, 1)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="ocfl-validate") as pool:
        yield Readers(pool, workers)


def _read_group(read: Callable[[str], Result], group: list[str]) -> list[Result]:
    return [read(path) for path in group]


def _result(group: list[str], future: Future[list[Result]]) -> Iterator[tuple[str, Result]]:
    return zip(group, future.result(), strict=True)
