"""Runs a command and says how long it took and how much memory its whole process tree held at most."""

import os
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

SAMPLE_INTERVAL_S = 0.05


class CommandFailedError(Exception):
    """What was to be measured did not work; the message has its output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One run: wall time, and the highest sum over its processes of the proportional set size (PSS)."""

    seconds: float
    peak_memory_bytes: int
    output: str


def run(argv: list[str], *, cwd: Path, environment: dict[str, str] | None = None) -> Measurement:
    """Run a command to its end, with its memory sampled twenty times a second.

    Raises:
        CommandFailedError: it ended with another exit code than 0.
    """
    done = threading.Event()
    peak = [0]
    started = time.perf_counter()
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    sampler = threading.Thread(target=_sample, args=(process.pid, peak, done), daemon=True)
    sampler.start()
    output, complaints = process.communicate()
    seconds = time.perf_counter() - started
    done.set()
    sampler.join()
    if process.returncode != 0:
        shown = " ".join(argv[:8])
        raise CommandFailedError(
            f"exit code {process.returncode} from {shown} ...\n{output[-3000:]}{complaints[-3000:]}"
        )
    return Measurement(seconds=seconds, peak_memory_bytes=peak[0], output=output)


def _sample(process_id: int, peak: list[int], done: threading.Event) -> None:
    while True:
        peak[0] = max(peak[0], sum(_memory_of(number) for number in _tree(process_id)))
        if done.wait(SAMPLE_INTERVAL_S):
            return


def _tree(process_id: int) -> list[int]:
    """A process and all that descend from it."""
    found = [process_id]
    for number in found:  # grows while it is gone through
        try:
            for children in Path(f"/proc/{number}/task").glob("*/children"):
                found.extend(int(child) for child in children.read_text().split())
        except OSError:
            continue
    return found


def _memory_of(process_id: int) -> int:
    """PSS counts a page that n processes share as an n-th for each, so that sums are right. In bytes."""
    try:
        rollup = Path(f"/proc/{process_id}/smaps_rollup").read_text()
    except OSError:
        return 0
    for line in rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
