"""A13, A20: a process that puts onto a disk tier, or takes away from it, is killed before each of its steps."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from repository.durable import remove_tree
from repository.ocfl.validate_storage_root import validate_storage_root
from repository.stop import StopToken
from storage_tiers.disk.tier import DiskTier, create_disk_tier, open_disk_tier
from storage_tiers.fixity_outcome import Depth
from storage_tiers.port import PutStatus
from tests.doubles.opened_versions import InMemoryVersion, make_version
from tests.faults.children import run_in_child
from tests.faults.steps import Report, StepWatcher

FIRST = make_version(1, {"data/page": b"one page", "data/film": bytes(range(256)) * 700, "data/empty": b""})
SECOND = make_version(2, {"data/page": b"another page"}, previous=FIRST)
LEAST_STEPS = 15
PATIENCE = 200


@pytest.fixture(autouse=True)
def small_files_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file of 175 KiB be written as a film of many gigabytes is."""
    monkeypatch.setattr("storage_tiers.disk.writing.LARGE_FILE_BYTES", 1 << 17)
    monkeypatch.setattr("repository.overlapped.CHUNK_BYTES", 1 << 17)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A tier that is empty, one that has the first version, one that has both."""
    folders = []
    for number in range(3):
        folder = tmp_path_factory.mktemp("scene") / "tier"
        tier = create_disk_tier(folder, name="disk", institution="120000")
        for version in (FIRST, SECOND)[:number]:
            tier.put_version(version, stop=StopToken())
        folders.append(folder)
    return folders


def put(tier: DiskTier, version: InMemoryVersion) -> PutStatus:
    return tier.put_version(version, stop=StopToken()).status


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def killed_at_each_step(scene: Path, work: Path, act: Callable[[DiskTier], object]) -> list[tuple[int, Path]]:
    """A tier for every step before which a process was killed; the last one lived."""
    made = []
    for fatal in range(1, PATIENCE):
        folder = work / str(fatal)
        shutil.copytree(scene, folder, symlinks=True)
        watcher = StepWatcher(folder, work / f"{fatal}.steps", fatal=fatal)

        def child(folder: Path = folder, watcher: StepWatcher = watcher) -> None:
            tier = open_disk_tier(folder, name="disk")
            watcher.install_files()
            act(tier)

        code = run_in_child(child)
        watcher.close()
        made.append((fatal, folder))
        if code == 0:
            assert len(Report.read(work / f"{fatal}.steps").steps) == fatal - 1 >= LEAST_STEPS
            return made
        assert code == -signal.SIGKILL
    raise AssertionError(f"not done after {PATIENCE} steps")


@pytest.mark.parametrize(("before", "version"), [(0, FIRST), (1, SECOND)], ids=["new object", "new version"])
def test_a_killed_put_is_ended_by_the_same_put(
    before: int, version: InMemoryVersion, scenes: list[Path], tmp_path: Path
) -> None:
    reference = tmp_path / "reference"
    shutil.copytree(scenes[before], reference)
    put(open_disk_tier(reference, name="disk"), version)
    wanted = names(reference)
    seen = set()
    for fatal, folder in killed_at_each_step(scenes[before], tmp_path, lambda tier: put(tier, version)):
        tier = open_disk_tier(folder, name="disk")
        is_listed = version.ref in list(tier.list_versions())
        outcome = tier.verify_version(version.expected, depth=Depth.FULL, stop=StopToken())
        assert [finding.state.value for finding in outcome.findings] == ([] if is_listed else ["missing"]), fatal
        status = put(tier, version)
        seen.add((is_listed, status))
        assert status is PutStatus.ALREADY_PRESENT or not is_listed, fatal
        assert names(folder) == wanted, f"left behind after a kill before step {fatal}"
        for each in (FIRST, SECOND)[: before + 1]:
            assert tier.verify_version(each.expected, depth=Depth.FULL, stop=StopToken()).findings == (), fatal
        assert [each for each in validate_storage_root(folder) if each.severity == "error"] == [], fatal
        remove_tree(folder)
    assert seen == {(False, PutStatus.STORED), (True, PutStatus.ALREADY_PRESENT)}


def test_a_killed_quarantine_loses_nothing_and_the_put_after_it_heals(scenes: list[Path], tmp_path: Path) -> None:
    """A13: at any step the bad bytes are in their place or in quarantine, and never on the way to nowhere."""

    def act(tier: DiskTier) -> None:
        tier.quarantine_version(SECOND.ref, note={"why": "a trial"})

    seen = set()
    for fatal, folder in killed_at_each_step(scenes[2], tmp_path, act):
        tier = open_disk_tier(folder, name="disk")
        in_place = [*folder.glob("*/*/*/*/v2/inventory.json")]
        taken = [*folder.glob("extensions/jindang-quarantine/*/v2/inventory.json")]
        assert len(in_place) + len(taken) == 1, fatal
        assert all((path.parent.parent / "note.json").is_file() for path in taken), fatal
        found = tier.verify_version(FIRST.expected, depth=Depth.FULL, stop=StopToken()).findings
        assert {finding.path for finding in found} <= {"inventory.json.sha512"}, fatal  # between the last two renames
        seen.add(len(found))
        put(tier, SECOND)
        for version in (FIRST, SECOND):
            assert tier.verify_version(version.expected, depth=Depth.FULL, stop=StopToken()).findings == (), fatal
        assert not (folder / "extensions/jindang-staging").exists(), fatal
        remove_tree(folder)
    assert seen == {0, 1}
