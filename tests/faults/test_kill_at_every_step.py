"""A20: an ingest is killed before each of its steps, and so is the recovery; nothing is lost, nothing half-written."""

import itertools
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from repository.ingest.request import IngestOutcome, IngestStatus
from repository.ocfl.staging import STAGING_FOLDER
from tests.doubles.vault import Account, SmallVault, outcome_from, outcome_line, write_package
from tests.faults.children import run_in_child
from tests.faults.invariants import broken_promises
from tests.faults.steps import Report, Step, StepWatcher

LEAST_STEPS = 100
LEAST_STATES = 5
SHARDS = 2
SAMPLE = 4
"""While packages are staged, every step leaves the same behind; after every fourth the command is run again."""

PAGE = b"a page that several packages have " * 100


@dataclass(frozen=True, slots=True)
class Scene:
    """A repository before an ingest, and the packages that are about to come."""

    vault: SmallVault
    account: Account
    sources: list[Path]
    wanted: dict[str, tuple[IngestStatus, int | None]]
    """Package -> what its ingest comes to when nothing goes wrong."""

    def copy(self, folder: Path) -> "Scene":
        return Scene(self.vault.copy(folder), self.account.copy(), self.sources, self.wanted)


@pytest.fixture(autouse=True)
def small_files_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file of 256 KiB be written as a film of many gigabytes is."""
    monkeypatch.setattr("repository.ingest.stage.LARGE_FILE_BYTES", 1 << 17)
    monkeypatch.setattr("repository.overlapped.CHUNK_BYTES", 1 << 17)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Objects `grown` and `kept`; packages for a new version of `grown`, for `kept` again, two new ones, a bad one."""
    folder = tmp_path_factory.mktemp("scene")
    vault, account, packages = SmallVault.create(folder / "vault"), Account(), folder / "packages"
    old = [
        write_package(packages / "grown", {"page": PAGE, "annex/list": b"one entry"}),
        write_package(packages / "kept", {"page": PAGE, "empty": b""}),
    ]
    account.attempt(old)
    vault.ingest(old, told=account.take)
    write_package(packages / "grown", {"page": PAGE, "annex/list": b"two entries", "annex/more/deep": b"new"})
    write_package(packages / "first", {"page": PAGE, "again/page": PAGE, "film": bytes(range(256)) * 1024})
    write_package(packages / "second", {"档案/页·1": b"other"})
    (write_package(packages / "refused", {"page": PAGE}) / "link").symlink_to("/etc/passwd")
    wanted = {
        "first": (IngestStatus.NEW_OBJECT, 1),
        "refused": (IngestStatus.REFUSED, None),
        "grown": (IngestStatus.NEW_VERSION, 2),
        "kept": (IngestStatus.UNCHANGED, 1),
        "second": (IngestStatus.NEW_OBJECT, 1),
    }
    sources = [packages / name for name in wanted]
    account.attempt(source for source in sources if source.name != "refused")
    return Scene(vault, account, sources, wanted)


def ingest_until(scene: Scene, report: Path, fatal: int | None) -> tuple[int, Report]:
    """Ingest in a process that dies before step `fatal`; what it acknowledged goes to the account."""
    watcher = StepWatcher(scene.vault.folder, report, fatal=fatal)

    def told(outcome: IngestOutcome) -> None:
        watcher.tell(outcome_line(outcome))

    code = run_in_child(lambda: void(scene.vault.ingest(scene.sources, told=told, watch=watcher.install)))
    watcher.close()
    told_so_far = Report.read(report)
    for line in told_so_far.lines:
        scene.account.take(outcome_from(line))
    return code, told_so_far


def recover_until(vault: SmallVault, report: Path, fatal: int | None) -> tuple[int, Report]:
    watcher = StepWatcher(vault.folder, report, fatal=fatal)
    code = run_in_child(lambda: void(vault.recover(watch=watcher.install)))
    watcher.close()
    return code, Report.read(report)


def void(_result: object) -> None:
    """Forget a result."""


def require_sound(scene: Scene, when: str) -> None:
    with scene.vault.catalog() as catalog:
        assert broken_promises(scene.vault.root_path, catalog, scene.account) == [], when


def require_completion(scene: Scene, when: str) -> None:
    """The same command again brings everything to where it would have been."""
    for outcome in scene.vault.ingest(scene.sources, told=scene.account.take):
        status, version = scene.wanted[outcome.source.name]
        expected = (
            [(status, version)] if status is IngestStatus.REFUSED else [(status, version), ("unchanged", version)]
        )
        assert (outcome.status, outcome.version) in expected, f"{when}: {outcome}"
    require_sound(scene, f"{when}, after the same command again")
    assert {name: len(versions) for name, versions in _versions(scene).items()} == {
        "first": 1,
        "grown": 2,
        "kept": 1,
        "second": 1,
    }


def _versions(scene: Scene) -> dict[str, dict[int, object]]:
    return {uri.rpartition(":")[2]: dict(versions) for uri, versions in scene.account.acknowledged.items()}


@pytest.mark.parametrize("under_way", [32, 1])
@pytest.mark.parametrize("shard", range(SHARDS))
def test_an_ingest_killed_before_any_of_its_steps_is_finished_or_undone(
    scene: Scene, tmp_path: Path, shard: int, under_way: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A20: a power cut at each write of inventory and sidecar, and at everything before and after.

    With one package under way at a time, each is acknowledged before the next is begun; else all are in one group.
    """
    monkeypatch.setattr("repository.ingest.run.UNDER_WAY", under_way)
    covered = 0
    for fatal in itertools.count(1 + shard, SHARDS):
        killed = scene.copy(tmp_path / "vault")
        code, report = ingest_until(killed, tmp_path / f"report-{fatal}", fatal)
        if code == 0:
            break
        when = f"killed before step {fatal}, {report.steps[-1]}"
        assert (code, len(report.steps)) == (-signal.SIGKILL, fatal), when
        recovery = killed.vault.recover()
        require_sound(killed, when)
        if recovery.rolled_back or recovery.rolled_forward or report.lines or covered % SAMPLE == 0:
            require_completion(killed, when)
        shutil.rmtree(killed.vault.folder)
        covered += 1
    print(f"an ingest was killed before {covered} of its {len(report.steps)} steps")
    assert covered == len(range(shard, len(report.steps), SHARDS))
    assert len(report.steps) > LEAST_STEPS
    assert len(report.lines) == len(scene.sources)


def test_a_recovery_killed_before_any_of_its_steps_is_finished_by_the_next(scene: Scene, tmp_path: Path) -> None:
    """A20: the power fails again while the repository recovers."""
    _, whole = ingest_until(scene.copy(tmp_path / "whole"), tmp_path / "whole-report", None)
    states = [number for number, step in enumerate(whole.steps, 1) if changes_objects(step)]
    covered = 0
    for state in states:
        cut_off = scene.copy(tmp_path / f"state-{state}")
        ingest_until(cut_off, tmp_path / f"report-{state}", state)
        for fatal in itertools.count(1):
            killed = cut_off.copy(tmp_path / "vault")
            code, report = recover_until(killed.vault, tmp_path / f"report-{state}-{fatal}", fatal)
            when = f"ingest killed before {whole.steps[state - 1]}, recovery before step {fatal}, {report.steps[-1]}"
            assert code == -signal.SIGKILL or (code == 0 and fatal > len(report.steps)), when
            killed.vault.recover()
            require_sound(killed, when)
            again = killed.vault.recover()
            assert (again.rolled_forward, again.rolled_back, again.removed_sessions) == ((), (), 0), when
            if code == 0:
                require_durable_before_recorded(report.steps)
                require_completion(killed, when)
                break
            shutil.rmtree(killed.vault.folder)
            covered += 1
        shutil.rmtree(killed.vault.folder)
    print(f"recoveries from {len(states)} states were killed before each of their {covered} steps")
    assert len(states) >= LEAST_STATES
    assert covered > LEAST_STEPS


def test_the_order_of_writes_is_the_one_that_survives_a_power_cut(scene: Scene, tmp_path: Path) -> None:
    """A20: everything is on the medium before a name leads to it, and every name before it is recorded."""
    whole = scene.copy(tmp_path / "vault")
    places = {name: str(whole.vault.object_root(name).relative_to(whole.vault.folder)) for name in scene.wanted}
    code, report = ingest_until(whole, tmp_path / "report", None)
    assert code == 0
    begin = next(number for number, step in enumerate(report.steps) if step.kind == "commit")
    staged, placed = report.steps[:begin], report.steps[begin:]
    assert {step.path.split("/")[:3][-1] for step in staged if step.kind in ("open", "write")} == {"jindang-staging"}
    told = [step for step in placed if step.kind in ("commit", "committed", "sync") or changes_objects(step)]
    told[3:6] = sorted(told[3:6], key=str)  # one group: in any order
    assert told == [
        Step("commit", "catalogue"),  # the intents
        Step("committed", "catalogue"),
        Step("sync", ""),
        *sorted(
            (Step("rename", path) for path in (places["first"], f"{places['grown']}/v2", places["second"])), key=str
        ),
        Step("sync", ""),
        Step("rename", f"{places['grown']}/inventory.json"),
        Step("rename", f"{places['grown']}/inventory.json.sha512"),
        Step("sync", ""),
        Step("commit", "catalogue"),  # rows, events, counters; the intents cleared
        Step("committed", "catalogue"),
        Step("commit", "catalogue"),  # the refusal
        Step("committed", "catalogue"),
    ]
    assert [step for step in placed if step.kind in ("open", "write")] == []


def changes_objects(step: Step) -> bool:
    """Whether a step gives a name to an object, a version or an inventory that is in force."""
    return step.kind == "rename" and STAGING_FOLDER not in step.path


def require_durable_before_recorded(steps: list[Step]) -> None:
    """A recovery syncs after its own renames, and those of the dead, before it records or forgets anything."""
    kinds = [step.kind for step in steps]
    assert "sync" in kinds[: kinds.index("commit")], steps
    after_sync = steps[kinds.index("commit") - 1 - kinds[: kinds.index("commit")][::-1].index("sync") :]
    assert not [step for step in after_sync if changes_objects(step)], steps
