"""A progress line on a terminal: bytes done, rate, time left. Nothing anywhere else."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from jindang.cli.invocation import Invocation

REFRESH_S = 0.25


class ByteProgress:
    """A line that asks for its figures by itself."""

    def __init__(self, bar: "Progress | None", task: "TaskID | None") -> None:
        self._bar, self._task = bar, task
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    @contextlib.contextmanager
    def on_terminal(cls, invocation: "Invocation", what: str) -> "Iterator[ByteProgress]":
        """A line on standard error if that is a terminal and people read along."""
        if invocation.quiet or not sys.stderr.isatty():
            yield cls(None, None)
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            line = cls(bar, bar.add_task(what, total=None))
            try:
                yield line
            finally:
                line.end()

    def watch(self, figures: Callable[[], tuple[int, int]]) -> None:
        """Show (bytes done, bytes expected) from now on, asked for every quarter of a second."""
        if self._bar is not None:
            self._thread = threading.Thread(target=self._refresh, args=(figures,), daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Stop asking."""
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _refresh(self, figures: Callable[[], tuple[int, int]]) -> None:
        while not self._done.wait(REFRESH_S):
            if self._bar is not None and self._task is not None:
                done, expected = figures()
                self._bar.update(self._task, completed=done, total=max(expected, done) or None)
