"""Where new versions are made before they are put into place: `extensions/jindang-staging/<session>/`.

A session is a folder that one run of work owns, with a lock file that the run and all its worker processes hold
shared (flock). The kernel gives a lock back when its holder dies, however it dies; so a session whose lock can be
taken exclusively is abandoned, and what lies in it is nobody's.
"""

import contextlib
import fcntl
import itertools
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from repository.durable import remove_tree

STAGING_FOLDER = "extensions/jindang-staging"
_LOCK = "lock"
_RECOVERY_LOCK = "recovery.lock"

_REMOVED_MEANWHILE = (FileNotFoundError, FileExistsError)
"""What making a folder comes to when somebody removes the staging area, which was there and is not, just then."""


class SessionLock:
    """A shared hold on a session; as long as anybody has one, the session is not abandoned."""

    def __init__(self, session_folder: Path) -> None:
        """Take hold.

        Raises:
            FileNotFoundError: the session was abandoned and removed.
        """
        path = session_folder / _LOCK
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(self._fd), path.stat()):
                raise FileNotFoundError(path)
        except BlockingIOError:
            os.close(self._fd)
            raise FileNotFoundError(path) from None
        except OSError:
            os.close(self._fd)
            raise

    def release(self) -> None:
        """Let go."""
        os.close(self._fd)


class StagingSession:
    """One run's own folder for versions in the making; removed with everything in it at the end."""

    def __init__(self, storage_root: Path) -> None:
        self._area = storage_root / STAGING_FOLDER
        self._numbers = itertools.count(1)
        while True:  # another run may be clearing up just now and take our folder for an abandoned one
            self.name = uuid.uuid4().hex
            self.folder = self._area / self.name
            with contextlib.suppress(*_REMOVED_MEANWHILE):
                self.folder.mkdir(parents=True)
                self._lock = SessionLock(self.folder)
                return

    def new_folder(self) -> Path:
        """The path of a folder that does not exist yet, for one version."""
        return self.folder / str(next(self._numbers))

    def __enter__(self) -> Self:
        """Opened already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the session; and the staging area itself when nobody else is using it."""
        _remove_session(self.folder)
        self._lock.release()
        _remove_when_empty(self._area)


def is_alive(storage_root: Path, session: str) -> bool:
    """Whether somebody still holds a session."""
    path = storage_root / STAGING_FOLDER / session / _LOCK
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def remove_abandoned(storage_root: Path) -> int:
    """Remove every session that nobody holds any more; returns how many."""
    area = storage_root / STAGING_FOLDER
    removed = 0
    for folder in _sessions(area):
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove_session(folder)
                removed += 1
            except BlockingIOError:
                pass
            finally:
                os.close(fd)
    _remove_when_empty(area)
    return removed


@contextlib.contextmanager
def recovery_turn(storage_root: Path) -> Iterator[None]:
    """Wait until nobody else is recovering on this storage root, then let nobody else begin.

    Two at once could take each other's work for their own: what one has finished, a third may be changing again.
    """
    area = storage_root / STAGING_FOLDER
    path = area / _RECOVERY_LOCK
    fd = _wait_for_lock(path)
    try:
        yield
    finally:
        path.unlink()
        os.close(fd)
        _remove_when_empty(area)


def _wait_for_lock(path: Path) -> int:
    """The descriptor of a lock file that is ours and still has its name; whoever had it before us removed his."""
    while True:
        with contextlib.suppress(*_REMOVED_MEANWHILE):
            path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                if os.path.samestat(os.fstat(fd), path.stat()):
                    return fd
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)


def _sessions(area: Path) -> list[Path]:
    try:
        return sorted(entry for entry in area.iterdir() if entry.name != _RECOVERY_LOCK)
    except FileNotFoundError:
        return []


def _remove_session(folder: Path) -> None:
    """Remove a session that we hold; its lock at the end, for without it others take the rest for abandoned."""
    with contextlib.suppress(FileNotFoundError):
        for entry in folder.iterdir():
            if entry.name != _LOCK:
                remove_tree(entry)
        (folder / _LOCK).unlink()
    with contextlib.suppress(OSError):  # somebody has just made a new lock there, and removes it with the folder
        folder.rmdir()


def _remove_when_empty(area: Path) -> None:
    with contextlib.suppress(OSError):
        area.rmdir()
