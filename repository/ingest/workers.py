"""The processes that read and hash packages.

Processes, because hashing small files in threads waits for the interpreter; started by a fork server, because a
process with threads must not be forked. A worker dies with its parent and holds the staging session's lock while
it lives, so that nobody clears up behind its back.
"""

import multiprocessing
import multiprocessing.context
import multiprocessing.synchronize
import os
import signal
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import forkserver
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from repository.ingest.stage import StagedVersion, StageTask, stage_package
from repository.ocfl.staging import SessionLock
from repository.stop import StopToken

if TYPE_CHECKING:
    from multiprocessing.sharedctypes import SynchronizedArray


class Progress:
    """How far a run has come, counted by all its workers.

    Args:
        values: shared memory for [bytes listed, packages listed, bytes read].
    """

    def __init__(self, values: "SynchronizedArray[int]") -> None:
        self._values = values

    def listed(self, size_bytes: int) -> None:
        """A package was opened; it has so many bytes."""
        with self._values.get_lock():
            self._values[0] += size_bytes
            self._values[1] += 1

    def read(self, size_bytes: int) -> None:
        """So many bytes of a package were read and hashed."""
        with self._values.get_lock():
            self._values[2] += size_bytes

    def expected_bytes(self, packages: int) -> int:
        """Bytes that so many packages will have, taking those not opened yet to be like those that are."""
        listed_bytes, listed, _ = self._values[:]
        return listed_bytes * packages // max(listed, 1)

    @property
    def read_bytes(self) -> int:
        """Bytes read so far."""
        return self._values[2]


class Staging(Protocol):
    """Who does the work on packages."""

    progress: Progress

    def submit(self, task: StageTask) -> "Future[StagedVersion]":
        """Do it now or later; the future has the version, or the error of `stage_package`."""
        ...

    def stop(self) -> None:
        """Make running work end at its next chunk."""
        ...

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


def start_fork_server() -> multiprocessing.context.ForkServerContext:
    """Start the process from which the workers are forked, if it does not run yet; it gets ready by itself.

    Called early, it imports what the workers need while the caller imports what he needs.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    forkserver.ensure_running()
    return context


def open_staging(workers: int, session_folder: Path | None) -> Staging:
    """So many processes; a single worker is this process itself. Without a session, for a dry run."""
    return _InProcess() if workers == 1 else _Pool(workers, session_folder)


class _InProcess:
    """Does the work at once, in this process."""

    def __init__(self) -> None:
        self.progress = Progress(multiprocessing.Array("q", 3))
        self._stop = StopToken()

    def submit(self, task: StageTask) -> "Future[StagedVersion]":
        future: Future[StagedVersion] = Future()
        try:
            future.set_result(stage_package(task, meter=self.progress, stop=self._stop))
        except Exception as error:  # noqa: BLE001 - carried to whoever asks for the result
            future.set_exception(error)
        return future

    def stop(self) -> None:
        self._stop.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""


class _Pool:
    """Worker processes."""

    def __init__(self, workers: int, session_folder: Path | None) -> None:
        context = start_fork_server()
        values = context.Array("q", 3)
        self.progress = Progress(values)
        self._event = context.Event()
        self._executor: Executor = ProcessPoolExecutor(
            workers, mp_context=context, initializer=_begin_worker, initargs=(session_folder, values, self._event)
        )

    def submit(self, task: StageTask) -> "Future[StagedVersion]":
        return self._executor.submit(_work, task)

    def stop(self) -> None:
        self._event.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._event.set()
        self._executor.shutdown(wait=True, cancel_futures=True)


_worker: tuple[Progress, StopToken, SessionLock | None] | None = None


def _begin_worker(
    session_folder: Path | None, values: "SynchronizedArray[int]", event: multiprocessing.synchronize.Event
) -> None:
    global _worker  # noqa: PLW0603 - a worker process has one life and one run
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it and stops us in order
    _worker = Progress(values), StopToken(event), None if session_folder is None else SessionLock(session_folder)
    threading.Thread(target=_die_with_parent, name="die-with-parent", daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _work(task: StageTask) -> StagedVersion:
    if _worker is None:
        raise RuntimeError("the worker was not begun")
    progress, stop, _ = _worker
    return stage_package(task, meter=progress, stop=stop)
