"""A20: the installed command, busy with worker processes, is killed at random moments; and one of its workers."""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repository.catalog.catalog import Catalog
from repository.ingest.recover import recover
from repository.ocfl.staging import STAGING_FOLDER
from repository.ocfl.storage_root import StorageRoot
from tests.doubles.vault import TIER, Account, write_package
from tests.faults.children import patience, processes_of_session
from tests.faults.invariants import broken_promises

ROUNDS = int(os.environ.get("JINDANG_KILL_ROUNDS", "25"))
SEED = int(os.environ.get("JINDANG_KILL_SEED", "0")) or random.randrange(1, 1 << 32)
PACKAGES = 40
CHANGED = 12
ORPHANS_GONE_S = 10
PREFIX = "urn:jindang:120000:"
CONFIG = """\
institution: {code: "120000", name: 天津市档案馆}
tiers: [{name: primary, path: primary}]
ingest: {workers: 2, reserve_bytes: 0}
"""
_ACKNOWLEDGED = re.compile(r"(?:new object|new version|unchanged): (\S+) v(\d+), .* bytes")


class Command:
    """The program with a repository and packages of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root_path = folder, folder / "primary"
        self.account = Account()
        self._sessions: list[int] = []
        (folder / "jindang.yaml").write_text(CONFIG)
        assert self.start("init").wait(60) == 0

    def start(self, *words: object) -> "subprocess.Popen[bytes]":
        """Run a command in a session of its own; what it says goes to two files."""
        arguments = [sys.executable, "-m", "jindang", "--config", str(self.folder / "jindang.yaml"), *map(str, words)]
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            process = subprocess.Popen(arguments, stdout=out, stderr=err, start_new_session=True)
        self._sessions.append(process.pid)
        return process

    def end(self) -> None:
        """End what this test has started and what, because it failed, has not ended by itself."""
        for session in self._sessions:
            for pid in processes_of_session(session):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def packages(self, size_bytes: int, *, count: int = PACKAGES) -> list[Path]:
        folder = self.folder / "packages"
        return [self.write(folder / f"package-{number}", "first", size_bytes) for number in range(count)]

    def write(self, package: Path, mark: str, size_bytes: int) -> Path:
        text = f"{package.name} {mark} ".encode()
        return write_package(package, {"page": text * (size_bytes // len(text)), "folder/same": b"the same in all"})

    def take_acknowledgements(self) -> int:
        """What the last command said on whole lines; returns how many packages it acknowledged."""
        text = (self.folder / "out").read_text()
        found = _ACKNOWLEDGED.findall(text[: text.rfind("\n") + 1])
        for name, version in found:
            self.account.acknowledge(f"{PREFIX}{name}", int(version), self.folder / "packages" / name)
        return len(found)

    def require_sound(self, when: str) -> None:
        with Catalog(f"sqlite:///{self.folder / 'data' / 'catalogue.sqlite'}") as catalog:
            recovery = recover(catalog, StorageRoot.open(self.root_path), tier=TIER)
            assert recovery.problems == (), when
            assert broken_promises(self.root_path, catalog, self.account) == [], when

    def has_begun(self) -> bool:
        return any((self.root_path / STAGING_FOLDER).glob("*/*"))

    def has_answered(self) -> bool:
        return b"\n" in (self.folder / "out").read_bytes()


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    command = Command(tmp_path)
    yield command
    command.end()


def wait_for(condition: Callable[[], object], seconds: float = 30) -> bool:
    return any(condition() for _ in patience(seconds))


def test_a_busy_ingest_killed_at_random_moments_loses_nothing_that_it_acknowledged(command: Command) -> None:
    """A20: nothing acknowledged is lost, nothing half-written is seen, no worker outlives the program."""
    print(f"seed {SEED}; JINDANG_KILL_SEED={SEED} repeats the choices, JINDANG_KILL_ROUNDS makes more than {ROUNDS}")
    chance = random.Random(SEED)
    packages = command.packages(30_000)
    command.account.attempt(packages, prefix=PREFIX)
    busy_s = time_of_a_whole_run(command, packages)
    killed, acknowledged, slowest_s = 0, 0, 0.0
    for turn in range(ROUNDS):
        for package in chance.sample(packages, CHANGED):
            command.write(package, f"turn {turn}", chance.randrange(1_000, 60_000))
        command.account.attempt(packages, prefix=PREFIX)
        process = command.start("ingest", *packages)
        moment, within = chance.choice([(command.has_begun, 0.8), (command.has_answered, 0.2)])
        wait_for(moment)
        time.sleep(chance.uniform(0, busy_s * within))
        process.kill()
        code = process.wait(30)
        slowest_s = max(slowest_s, seconds_until_all_are_gone(process.pid))
        assert code in (0, -signal.SIGKILL), (command.folder / "err").read_text()
        killed += code != 0
        acknowledged += command.take_acknowledgements()
        if chance.random() < 0.5:  # else the next ingest finds it as it is
            command.require_sound(f"seed {SEED}, turn {turn}")
    print(f"{killed} of {ROUNDS} runs were killed; they acknowledged {acknowledged} packages before")
    print(f"worker processes were gone after {slowest_s:.2f} s at most")
    assert killed > ROUNDS // 3
    assert command.start("ingest", *packages).wait(60) == 0
    assert command.take_acknowledgements() == PACKAGES
    command.require_sound(f"seed {SEED}, the end")


def time_of_a_whole_run(command: Command, packages: list[Path]) -> float:
    """From the first staged package to the end."""
    process = command.start("ingest", *packages)
    assert wait_for(command.has_begun)
    begin = time.monotonic()
    assert process.wait(60) == 0
    assert command.take_acknowledgements() == PACKAGES
    return time.monotonic() - begin


def seconds_until_all_are_gone(session: int) -> float:
    """How long the processes of a session that was killed went on; nothing is done to end them."""
    begin = time.monotonic()
    assert wait_for(lambda: not processes_of_session(session), ORPHANS_GONE_S), processes_of_session(session)
    return time.monotonic() - begin


def test_when_a_worker_is_killed_the_run_says_so_and_the_next_one_finishes(command: Command) -> None:
    """A7, A20: a worker that the system ended, short of memory, is told in words; nothing half-written stays."""
    packages = command.packages(400_000, count=300)
    command.account.attempt(packages, prefix=PREFIX)
    process = command.start("ingest", *packages)
    assert wait_for(command.has_answered)
    os.kill(workers_of(process.pid)[0], signal.SIGKILL)
    code = process.wait(30)
    said = (command.folder / "err").read_text()
    assert code == 4, said
    assert "Error: A process that reads packages was ended from outside" in said
    assert "Next step: run the same command again" in said
    assert "Traceback" not in said
    seconds_until_all_are_gone(process.pid)
    assert not (command.root_path / STAGING_FOLDER).exists()
    assert 0 < command.take_acknowledgements() < len(packages)
    command.require_sound("after a worker was killed")
    assert command.start("ingest", *packages).wait(60) == 0, (command.folder / "err").read_text()
    assert command.take_acknowledgements() == len(packages)
    command.require_sound("after the next run")


def workers_of(session: int) -> list[int]:
    """The children of the fork server, which is a child of the program."""
    found = processes_of_session(session)
    servers = {pid for pid, (parent, line) in found.items() if parent == session and "forkserver" in line}
    return sorted(pid for pid, (parent, _) in found.items() if parent in servers)
