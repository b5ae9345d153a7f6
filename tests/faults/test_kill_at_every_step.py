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
LEAST_STATES = 7
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
    write_package(packages / "first", {"page": PAGE, "again/page": PAGE, "film": bytes(1 << 21)})
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
        expected = [(status, version)] if status is IngestStatus.REFUSED else [(status, version), ("unchanged", version)]
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


def test_an_ingest_killed_before_any_of_its_steps_is_finished_or_undone(scene: Scene, tmp_path: Path) -> None:
    """A20: power cut at each write of inventory and sidecar, and at everything before and after."""
    for fatal in itertools.count(1):
        killed = scene.copy(tmp_path / "vault")
        code, report = ingest_until(killed, tmp_path / f"report-{fatal}", fatal)
        if code == 0:
            break
        when = f"killed before step {fatal}, {report.steps[-1]}"
        assert code == -signal.SIGKILL, when
        killed.vault.recover()
        require_sound(killed, when)
        again = killed.vault.recover()
        assert (again.rolled_forward, again.rolled_back, again.removed_sessions) == ((), (), 0), when
        require_completion(killed, when)
        shutil.rmtree(killed.vault.folder)
    print(f"an ingest was killed before each of its {fatal - 1} steps")
    assert fatal - 1 == len(report.steps) > LEAST_STEPS
    assert len(report.lines) == len(scene.sources)
