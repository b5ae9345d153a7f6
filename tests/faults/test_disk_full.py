"""A21: the disk fills up in the middle of an ingest; what fits is kept, the rest is told, and can be done again."""

import json
import os
import re
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from repository.catalog.catalog import Catalog
from repository.ocfl.staging import STAGING_FOLDER
from tests.doubles.vault import Account, payload_of, write_package
from tests.faults.invariants import broken_promises
from tests.faults.small_disk import Disks, SmallDisk, small_disk
from tests.fixtures.command_line import CommandLine, Said, jindang, signals_restored

__all__ = ["jindang", "signals_restored", "small_disk"]

PREFIX = "urn:jindang:120000:"
MIB = 1 << 20
CONFIG = """\
institution: {{code: "120000", name: 天津市档案馆}}
data: {data}
tiers: [{{name: primary, path: disk/primary}}]
ingest: {{workers: {workers}, reserve_bytes: {reserve}}}
"""


class FullVault:
    """A repository whose primary tier, and if so wanted its catalogue, lies on a small disk."""

    def __init__(self, command: CommandLine, disk: SmallDisk) -> None:
        self.command, self.disk, self.account = command, disk, Account()
        self.sources: list[Path] = []

    @property
    def root_path(self) -> Path:
        return self.disk.path / "primary"

    def packages(self, *sizes: int) -> list[Path]:
        """Packages of one file each, of these sizes, none of them like another."""
        folder = self.command.folder / "packages"
        self.sources = [
            write_package(folder / f"p{number:02}", {"film": os.urandom(size), "note": b"%d" % number})
            for number, size in enumerate(sizes)
        ]
        self.account.attempt(self.sources, prefix=PREFIX)
        return self.sources

    def ingest(self) -> tuple[int, dict[str, dict[str, object]]]:
        """Ingest with --json; returns the exit code and what was said of each package."""
        said = self.command("ingest", *self.sources, "--json")
        packages = {Path(each["package"]).name: each for each in json.loads(said.out)["packages"]}
        for name, each in packages.items():
            if "error" not in each:
                self.account.acknowledge(each["id"], each["version"], self.sources[0].parent / name)
        return said.code, packages

    def take_lines(self, out: str) -> None:
        """Note what was acknowledged in words."""
        for name, version in re.findall(r"^(?:new object|unchanged): (\S+) v(\d+),", out, re.MULTILINE):
            self.account.acknowledge(f"{PREFIX}{name}", int(version), self.sources[0].parent / name)

    def require_sound(self, data: Path) -> None:
        assert not (self.root_path / STAGING_FOLDER).exists()
        with Catalog(f"sqlite:///{data / 'catalogue.sqlite'}") as catalog:
            assert broken_promises(self.root_path, catalog, self.account) == []


@pytest.fixture
def vault_on(
    small_disk: Disks,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    signals_restored: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., FullVault]:
    """Makes a repository on a disk with these options."""

    def make(
        *, data: str = "data", reserve: int = 0, workers: int = 1, ready: bool = True, **options: str
    ) -> FullVault:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("JINDANG_CONFIG", raising=False)
        disk = small_disk(tmp_path / "vault" / "disk", **options)
        command = CommandLine(tmp_path / "vault", capsys)
        command.config.write_text(CONFIG.format(data=data, reserve=reserve, workers=workers))
        return FullVault(command.ready() if ready else command, disk)

    return make


def failed(packages: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
    """Package -> its error, of those that were not taken in."""
    return {name: each["error"] for name, each in packages.items() if "error" in each}  # type: ignore[misc]


@pytest.fixture
def nobody_looks_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the space seem enough, so that it ends in the middle of writing."""
    monkeypatch.setattr("repository.ingest.stage.free_bytes", lambda _folder: 1 << 50)


def test_what_fits_goes_in_the_rest_is_told_and_done_when_there_is_room(
    vault_on: Callable[..., FullVault], nobody_looks_ahead: None
) -> None:
    """A21: no space in the middle of writing; files that are written as small ones and as large ones are."""
    vault = vault_on(size="24m")
    vault.packages(3 * MIB, 14 * MIB, 13 * MIB, MIB // 2, 12 * MIB + 5, 900_001, 1_100_001, 0)
    data = vault.command.data
    code, packages = vault.ingest()
    errors = failed(packages)
    assert code == 4
    assert set(errors) < {"p01", "p02", "p04"} and errors  # noqa: PT018 - one of the large ones fits, if any
    for error in errors.values():
        assert (error["error"], error["retryable"]) == ("TierFullError", True)
        assert str(error["where"]).startswith(f"{vault.root_path / STAGING_FOLDER}/")
        assert error["why"] == "No space left on device"
        assert "run the same command again" in str(error["next_step"])
    vault.require_sound(data)
    vault.disk.grow(size="80m")
    code, packages = vault.ingest()
    assert (code, failed(packages)) == (0, {})
    assert {each["status"] for name, each in packages.items() if name not in errors} == {"unchanged"}
    assert {packages[name]["status"] for name in errors} == {"new object"}
    vault.require_sound(data)


def test_two_workers_that_fill_the_disk_together_are_both_told(vault_on: Callable[..., FullVault]) -> None:
    """A21: each package would fit alone; whoever comes too late is refused before or while it writes."""
    vault = vault_on(size="24m", workers=2)
    vault.packages(*[7 * MIB] * 6)
    code, packages = vault.ingest()
    errors = failed(packages)
    assert (code, len(packages)) == (4, 6)
    assert 3 <= len(errors) <= 5
    assert {(error["error"], error["retryable"]) for error in errors.values()} == {("TierFullError", True)}
    vault.require_sound(vault.command.data)
    vault.disk.grow(size="80m")
    assert vault.ingest()[0] == 0
    vault.require_sound(vault.command.data)


def test_people_are_told_where_why_and_what_to_do(
    vault_on: Callable[..., FullVault], nobody_looks_ahead: None
) -> None:
    """A21: the message of a full disk, on the terminal and in the report."""
    vault = vault_on(size="4m")
    sources = vault.packages(8 * MIB, 1000)
    said: Said = vault.command("ingest", *sources)
    assert said.code == 4
    assert f"failed: {sources[0]}" in said.err
    assert "There is no space left: " in said.err
    assert str(vault.root_path) in said.err
    assert "Next step: free or add space, then run the same command again" in said.err
    assert "new object: p01 v1" in said.out
    (report,) = (vault.command.data / "reports").iterdir()
    assert "There is no space left" in report.read_text()


def test_a_reserve_is_kept_and_a_package_that_would_use_it_refused_up_front(
    vault_on: Callable[..., FullVault],
) -> None:
    """A21: with a reserve the disk never becomes full, and nothing of such a package is written."""
    vault = vault_on(size="16m", reserve=8 * MIB)
    vault.packages(9 * MIB, 2 * MIB, 20 * MIB)
    code, packages = vault.ingest()
    errors = failed(packages)
    assert (code, set(errors)) == (4, {"p00", "p02"})
    for error in errors.values():
        assert error["error"] == "TierFullError"
        assert "8,388,608 are kept in reserve" in str(error["why"])
    assert vault.disk.free_bytes() > 8 * MIB
    vault.require_sound(vault.command.data)
    vault.disk.grow(size="80m")
    assert vault.ingest()[0] == 0
    vault.require_sound(vault.command.data)


def test_a_disk_without_inodes_is_full_too(vault_on: Callable[..., FullVault]) -> None:
    """A21: each count of free inodes is met in turn, so that every file and folder is once the one too many."""
    vault = vault_on(size="8m", nr_inodes="60")
    vault.packages(*[10] * 6)
    met = set()
    for inodes in range(60, 140):
        vault.disk.grow(size="8m", nr_inodes=str(inodes))
        said = vault.command("ingest", *vault.sources, "--json")
        document = json.loads(said.out)
        told = [each["error"] for each in document.get("packages", []) if "error" in each]
        cut_off = document.get("cut_off") or (document if "error" in document else None)
        for error in [*told, *([cut_off] if cut_off else [])]:
            assert error["error"] == "TierFullError", document
            met.add(Path(error["where"]).name)
        for each in document.get("packages", []):
            if "error" not in each:
                vault.account.acknowledge(
                    each["id"], each["version"], vault.sources[0].parent / Path(each["package"]).name
                )
        assert said.code == (4 if told or cut_off else 0), document
        vault.require_sound(vault.command.data)
        if said.code == 0:
            break
    assert said.code == 0
    print(f"{inodes - 60} times too few inodes; the last name that was refused: {sorted(met)}")
    assert len(met) > 5


def test_the_catalogue_on_the_full_disk_loses_nothing_either(
    vault_on: Callable[..., FullVault], nobody_looks_ahead: None, tmp_path: Path
) -> None:
    """A21: the catalogue's own writes are refused as well; the space ends at one place after the other."""
    vault = vault_on(size="8m", data="disk/data")
    vault.packages(*[9_000] * 3)
    empty = shutil.copytree(vault.disk.path, tmp_path / "empty")
    used = 8 * MIB - vault.disk.free_bytes()
    refusals: Counter[str] = Counter()
    for free in range(0, 512 * 1024, 12 * 1024):
        vault.disk.clear()
        shutil.copytree(empty, vault.disk.path, dirs_exist_ok=True)
        vault.disk.grow(size=str(used + free))
        vault.account.acknowledged.clear()
        said = vault.command("ingest", *vault.sources)
        vault.take_lines(said.out)
        assert said.code in (0, 4), said
        if said.code == 4:
            (error, *_) = re.findall(r"^Error: ([^:]*): |^  (There is no[^:]*): ", said.err, re.MULTILINE)
            refusals[max(error)] += 1
            assert "Next step:" in said.err
        vault.disk.grow(size="8m")
        again = vault.command("ingest", *vault.sources)
        vault.take_lines(again.out)
        assert again.code == 0, (said, again)
        vault.require_sound(vault.disk.path / "data")
        if said.code == 0:
            break
    print(f"with {used + free} bytes everything fitted; less was refused with {dict(refusals)}")
    assert said.code == 0
    assert refusals["There is no space left"] > 0
    assert refusals["There is no space left for the catalogue"] > 3


def test_staging_never_holds_more_than_the_packages_under_way(
    vault_on: Callable[..., FullVault], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A21: temporary space is bounded by what is under way, whatever the number of packages."""
    monkeypatch.setattr("repository.ingest.run.UNDER_WAY", 3)
    vault = vault_on(size="64m")
    vault.packages(*[MIB] * 20)
    most = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.001):
            most = max(most, len(list((vault.root_path / STAGING_FOLDER).glob("*/[0-9]*"))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        code, _ = vault.ingest()
    finally:
        done.set()
        watcher.join()
    assert code == 0
    assert 1 <= most <= 3
    vault.require_sound(vault.command.data)


def test_a_write_that_the_system_cuts_short_is_gone_on_with(
    jindang: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A21: write(2) may take less than it was given, as on a disk that is nearly full; no byte is skipped."""
    write, cut = os.write, 0

    def write_some(fd: int, data: bytes | memoryview) -> int:
        nonlocal cut
        if len(data) > 1000:
            cut += 1
            data = memoryview(data)[: len(data) * 2 // 3]
        return write(fd, data)

    monkeypatch.setattr("repository.ingest.stage.LARGE_FILE_BYTES", MIB)
    package = write_package(tmp_path / "package", {"large": os.urandom(5 * MIB + 77), "small": os.urandom(70_001)})
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write_some)
        assert jindang("ingest", package).code == 0
    assert cut > 10
    assert jindang("export", "package", tmp_path / "back").code == 0
    assert payload_of(tmp_path / "back" / "data") == payload_of(package)
