"""Counts every step with which a process changes a repository, and kills the process before any one of them.

A step is a file opened for writing or created, a write, a name made, changed or removed, a sync, and each side of a
commit of the catalogue. Files are watched by an audit hook, which cannot be taken back: for forked processes only.
"""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repository import durable
from repository.catalog.catalog import Catalog

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_NAMES_AT = {  # audit event -> index of the path and of its folder descriptor
    "os.mkdir": (0, 2),
    "os.rmdir": (0, 1),
    "os.remove": (0, 1),
    "os.rename": (1, 3),
    "os.link": (1, 3),
    "os.symlink": (1, 2),
    "os.truncate": (0, None),
    "os.chmod": (0, 2),
    "os.utime": (0, 3),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what kind, and what it is done to, relative to the repository's folder."""

    kind: str
    path: str


class StepWatcher:
    """Writes each step to a report; `fatal` is the number of the step that is not lived through.

    Args:
        folder: of the repository; what happens elsewhere is no step.
        report: a file outside of it, appended to.
        fatal: None only counts.
    """

    def __init__(self, folder: Path, report: Path, *, fatal: int | None) -> None:
        self._prefix = f"{folder}/"
        self._report = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._fatal, self._count = fatal, 0
        self._write = os.write

    def install(self, catalog: Catalog) -> None:
        """Watch this process from now on, and what it does with this catalogue."""
        self.install_files()
        dialect = catalog._engine.dialect
        commit = dialect.do_commit

        def watched_commit(connection: Any) -> None:
            self.step("commit", "catalogue")
            commit(connection)
            self.step("committed", "catalogue")

        dialect.do_commit = watched_commit  # type: ignore[method-assign]

    def install_files(self) -> None:
        """Watch what this process does with files from now on."""
        durable._LIBC = _WatchedLibrary(durable._LIBC, self)  # type: ignore[assignment]
        os.write = self._watched_write  # type: ignore[assignment]
        sys.addaudithook(self._hear)

    def close(self) -> None:
        """Of the process that forked."""
        os.close(self._report)

    def tell(self, line: str) -> None:
        """A line of the report that is no step."""
        self._write(self._report, f"{line}\n".encode())

    def step(self, kind: str, path: str) -> None:
        """A step is about to be made."""
        self._count += 1
        self.tell(f"step\t{kind}\t{path!r}")
        if self._count == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def _hear(self, event: str, given: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = given
            if not isinstance(path, int) and flags & _WRITING:
                self._consider("open", path, None)
        elif event in _NAMES_AT:
            name, folder = _NAMES_AT[event]
            self._consider(event.removeprefix("os."), given[name], None if folder is None else given[folder])

    def _consider(self, kind: str, path: Any, folder_fd: int | None) -> None:
        if isinstance(path, int):
            folder_fd, path = path, ""
        text = os.fsdecode(path)
        if folder_fd not in (None, -1):
            text = str(Path(_path_of(folder_fd)) / text)
        if text.startswith(self._prefix):
            self.step(kind, text.removeprefix(self._prefix))

    def _watched_write(self, fd: int, data: Any) -> int:
        path = _path_of(fd)
        if path.startswith(self._prefix):
            if self._count + 1 == self._fatal:
                self._write(fd, memoryview(data)[: len(data) // 2])  # cut off in the middle of it
            self.step("write", path.removeprefix(self._prefix))
        return self._write(fd, data)


class _WatchedLibrary:
    """The C library as repository.durable calls it; ctypes tells audit hooks nothing of names."""

    def __init__(self, library: Any, watcher: StepWatcher) -> None:
        self._library, self._watcher = library, watcher

    def syncfs(self, fd: int) -> int:
        self._watcher.step("sync", "")
        return int(self._library.syncfs(fd))

    def renameat2(self, old_folder: int, old: bytes, new_folder: int, new: bytes, flags: int) -> int:
        self._watcher._consider("rename", os.fsdecode(new), None)
        return int(self._library.renameat2(old_folder, old, new_folder, new, flags))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)


def _path_of(fd: int | None) -> str:
    return str(Path(f"/proc/self/fd/{fd}").readlink())


@dataclass(frozen=True, slots=True)
class Report:
    """What a watched process did before it ended."""

    steps: list[Step]
    lines: list[str]

    @classmethod
    def read(cls, path: Path) -> "Report":
        lines = path.read_text().splitlines() if path.exists() else []
        steps = [line.split("\t") for line in lines if line.startswith("step\t")]
        return cls(
            steps=[Step(kind, path.strip("'")) for _, kind, path in steps],
            lines=[line for line in lines if not line.startswith("step\t")],
        )
