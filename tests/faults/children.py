"""Processes forked from the test: they cost milliseconds where a new interpreter costs half a second."""

import os
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

FAILED = 70


class Child:
    """A forked process at work; no catalogue may be open in this process when it is started."""

    def __init__(self, work: Callable[[], None]) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():  # the test's own threads only wait; Python 3.12 warns of them
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid:
            return
        code = FAILED
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - nothing may come out of here, or pytest would run twice
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self, seconds: float = 60) -> int:
        """Its exit code; minus the signal's number when it was killed. After so long it is killed."""
        watched = os.pidfd_open(self.pid)
        try:
            has_ended = bool(select.select([watched], [], [], seconds)[0])
        finally:
            os.close(watched)
        if not has_ended:
            self.kill()
        _, status = os.waitpid(self.pid, 0)
        assert has_ended, f"a process was still at work after {seconds} s"
        return os.waitstatus_to_exitcode(status)


def run_in_child(work: Callable[[], None]) -> int:
    return Child(work).wait()


def patience(seconds: float) -> Iterator[None]:
    """Comes again and again, with small pauses, until the time is over."""
    end, pause = time.monotonic() + seconds, 0.0005
    while time.monotonic() < end:
        yield
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def processes_of_session(session: int) -> dict[int, tuple[int, str]]:
    """Living processes of a session: pid -> (parent's pid, command line). Zombies are dead."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                state, parent, _group, its_session = (entry / "stat").read_text().rpartition(")")[2].split()[:4]
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(its_session) == session and state not in "ZX":
                found[int(entry.name)] = int(parent), command
    return found
