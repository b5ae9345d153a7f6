"""A20: between two syncs a file system may keep or lose each rename; every mixture is built here by hand."""

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from repository.catalog.catalog import Catalog
from repository.errors import InventoryError
from repository.ingest.request import IngestStatus
from repository.model import Intent, ObjectId
from repository.ocfl.object import StoredInventory, open_content, read_inventory
from repository.ocfl.staging import STAGING_FOLDER
from tests.doubles.vault import Account, SmallVault, payload_of, uri_of, write_package
from tests.faults.invariants import broken_promises

DEAD_SESSION = "0" * 32
SIDECAR = "inventory.json.sha512"
OLD, NEW = {"page": b"old", "kept": b"in both"}, {"page": b"new", "kept": b"in both"}

Change = Callable[[bytes, bytes], bytes]
FILE_STATES: dict[str, Change] = {
    "old": lambda old, _new: old,
    "new": lambda _old, new: new,
    "empty": lambda _old, _new: b"",
    "cut short": lambda _old, new: new[: len(new) // 2],
    "zeros": lambda _old, new: bytes(len(new)),
}


class Before:
    """A repository with version 1 of `grown`, and another with both versions to take the parts of version 2 from."""

    def __init__(self, folder: Path) -> None:
        self.package = write_package(folder / "packages" / "grown", OLD)
        self.fresh = write_package(folder / "packages" / "fresh", NEW)
        self.account = Account()
        self.account.attempt([self.package, self.fresh])
        self.vault = SmallVault.create(folder / "before")
        self.vault.ingest([self.package], told=self.account.take)
        self.old_payload = payload_of(self.package)
        write_package(self.package, NEW)
        self.new_payload = payload_of(self.package)
        self.account.attempt([self.package])
        self.after = self.vault.copy(folder / "after")
        self.after.ingest([self.package, self.fresh])

    def vault_cut_off(self, folder: Path, name: str, version: int) -> SmallVault:
        """The repository as it was, the intent of a dead session, and what that had in staging."""
        vault = self.vault.copy(folder)
        staged = vault.root_path / STAGING_FOLDER / DEAD_SESSION / "1" / f"v{version}" / "content"
        staged.mkdir(parents=True)
        (staged / "half").write_bytes(b"ha")
        (staged.parents[2] / "lock").touch()
        path = vault.root.object_path(uri_of(name))
        intent = Intent(object_id=ObjectId(uri_of(name)), object_path=path, version=version, session=DEAD_SESSION)
        with vault.catalog() as catalog:
            catalog.open_intents([intent])
        return vault


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Before:
    return Before(tmp_path_factory.mktemp("power"))


def require_sound(vault: SmallVault, account: Account) -> None:
    with vault.catalog() as catalog:
        assert broken_promises(vault.root_path, catalog, account) == []


def read_payload(object_root: Path) -> tuple[StoredInventory, dict[str, bytes]]:
    """What a reader gets of the head version."""
    stored = read_inventory(object_root)
    found = {}
    for path, digest in stored.inventory.state().items():
        with open_content(object_root, stored.inventory.content_path(digest)) as file:
            found[path] = file.read()
    return stored, {path.removeprefix("data/"): data for path, data in found.items() if path.startswith("data/")}


@pytest.mark.parametrize(("inventory", "sidecar"), list(itertools.product(FILE_STATES, repeat=2)))
def test_a_new_version_whose_folder_is_in_place_is_finished(
    before: Before, tmp_path: Path, inventory: str, sidecar: str
) -> None:
    """A20: the folder was synced before the root inventory and its sidecar were renamed, each in any state."""
    vault = before.vault_cut_off(tmp_path / "vault", "grown", 2)
    target, done = vault.object_root("grown"), before.after.object_root("grown")
    shutil.copytree(done / "v2", target / "v2")
    for name, state in (("inventory.json", inventory), (SIDECAR, sidecar)):
        data = FILE_STATES[state]((target / name).read_bytes(), (done / name).read_bytes())
        (target / name).unlink()
        (target / name).write_bytes(data)

    stored, payload = read_payload(target)
    assert (stored.inventory.head.number, payload) == ((1, OLD) if inventory == "old" else (2, NEW))
    assert stored.in_order == (inventory == sidecar and inventory in ("old", "new"))

    recovery = vault.recover()
    assert ([intent.version for intent in recovery.rolled_forward], recovery.problems) == ([2], ())
    stored, payload = read_payload(target)
    assert (stored.inventory.head.number, stored.in_order, payload) == (2, True, NEW)
    require_sound(vault, before.account)
    (outcome,) = vault.ingest([before.package], told=(account := before.account.copy()).take)
    assert (outcome.status, outcome.version) == (IngestStatus.UNCHANGED, 2)
    require_sound(vault, account)


def test_a_new_version_whose_folder_is_not_in_place_is_undone(before: Before, tmp_path: Path) -> None:
    """A20: then nothing of it was renamed."""
    vault = before.vault_cut_off(tmp_path / "vault", "grown", 2)
    stored, payload = read_payload(vault.object_root("grown"))
    assert (stored.inventory.head.number, payload) == (1, OLD)
    recovery = vault.recover()
    assert ([intent.version for intent in recovery.rolled_back], recovery.removed_sessions) == ([2], 1)
    require_sound(vault, before.account)
    (outcome,) = vault.ingest([before.package], told=(account := before.account.copy()).take)
    assert (outcome.status, outcome.version) == (IngestStatus.NEW_VERSION, 2)
    require_sound(vault, account)


@pytest.mark.parametrize("levels", [0, 1, 2, 3, "object"])
def test_a_new_object_is_there_or_nothing_of_it(before: Before, tmp_path: Path, levels: int | str) -> None:
    """A20: of the folders above a new object any number may be there, and the object itself or not."""
    vault = before.vault_cut_off(tmp_path / "vault", "fresh", 1)
    target = vault.object_root("fresh")
    if levels == "object":
        shutil.copytree(before.after.object_root("fresh"), target)
    elif isinstance(levels, int) and levels:
        target.parents[3 - levels].mkdir(parents=True)
    recovery = vault.recover()
    done = recovery.rolled_forward if levels == "object" else recovery.rolled_back
    assert [intent.object_id.uri for intent in done] == [uri_of("fresh")]
    require_sound(vault, before.account)
    (outcome,) = vault.ingest([before.fresh], told=(account := before.account.copy()).take)
    wanted = IngestStatus.UNCHANGED if levels == "object" else IngestStatus.NEW_OBJECT
    assert (outcome.status, outcome.version) == (wanted, 1)
    require_sound(vault, account)


def test_parents_of_a_lost_object_that_hold_another_object_stay(before: Before, tmp_path: Path) -> None:
    """A20: what is rolled back takes nothing with it that is not its own."""
    vault = before.vault_cut_off(tmp_path / "vault", "fresh", 1)
    neighbour = vault.object_root("fresh").parent / "neighbour"
    neighbour.mkdir(parents=True)
    vault.recover()
    assert neighbour.is_dir()


@pytest.mark.parametrize("damage", ["no inventory", "inventory of another version", "cut short"])
def test_a_version_folder_that_is_not_what_was_staged_is_left_for_a_person(
    before: Before, tmp_path: Path, damage: str
) -> None:
    """A20: no order of renames leads there, so it is damage: told, and neither finished nor removed."""
    vault = before.vault_cut_off(tmp_path / "vault", "grown", 2)
    target = vault.object_root("grown")
    folder = shutil.copytree(before.after.object_root("grown") / "v2", target / "v2")
    inventory = folder / "inventory.json"
    if damage == "no inventory":
        inventory.unlink()
    else:
        data = (target / "v1/inventory.json").read_bytes() if damage != "cut short" else inventory.read_bytes()[:99]
        inventory.unlink()
        inventory.write_bytes(data)
    recovery = vault.recover()
    assert [problem.exit_code for problem in recovery.problems] == [5]
    assert "not complete" in str(recovery.problems[0])
    assert (folder / "content").is_dir()
    with vault.catalog() as catalog:
        assert [intent.version for intent in catalog.intents()] == [2]
    assert read_payload(target)[1] == OLD


def test_a_root_inventory_that_nobody_was_writing_is_damage_and_is_left_alone(before: Before, tmp_path: Path) -> None:
    """A6: without an intent, nothing makes the root inventory agree with what is found."""
    vault = before.after.copy(tmp_path / "vault")
    target = vault.object_root("grown")
    rotten = (target / "inventory.json").read_bytes().replace(b"tester", b"tesver")
    (target / "inventory.json").unlink()
    (target / "inventory.json").write_bytes(rotten)
    stored, payload = read_payload(target)
    assert (stored.inventory.head.number, payload, stored.in_order) == (2, NEW, False)
    assert isinstance(stored.root_problem, InventoryError)
    (outcome,) = vault.ingest([write_package(tmp_path / "grown", {"page": b"third"})])
    assert (outcome.status, outcome.error and outcome.error.exit_code) == (IngestStatus.FAILED, 5)
    assert (target / "inventory.json").read_bytes() == rotten


def test_no_older_version_stands_in_for_a_newest_one_that_is_damaged(before: Before, tmp_path: Path) -> None:
    """A6: a reader gets an error rather than less than was acknowledged."""
    target = before.after.copy(tmp_path / "vault").object_root("grown")
    for damaged in (target / "inventory.json", target / "v2/inventory.json"):
        damaged.unlink()
        damaged.write_bytes(b"")
    with pytest.raises(InventoryError):
        read_inventory(target)


def test_everything_cut_off_is_recovered_in_one_go_and_told(before: Before, tmp_path: Path) -> None:
    """A17: one damaged object hinders neither the recovery of the others nor the run."""
    vault = before.vault_cut_off(tmp_path / "vault", "grown", 2)
    (vault.object_root("grown") / "v2").mkdir()
    with vault.catalog() as catalog:
        path = vault.root.object_path(uri_of("fresh"))
        catalog.open_intents(
            [Intent(object_id=ObjectId(uri_of("fresh")), object_path=path, version=1, session=DEAD_SESSION)]
        )
    shutil.copytree(before.after.object_root("fresh"), vault.object_root("fresh"))
    recovery = vault.recover()
    assert [intent.object_id.uri for intent in recovery.rolled_forward] == [uri_of("fresh")]
    assert len(recovery.problems) == 1
    (outcome,) = vault.ingest([before.fresh])
    assert outcome.status is IngestStatus.UNCHANGED


def test_what_storage_has_and_the_catalogue_lost_is_neither_acknowledged_nor_added_to(
    before: Before, tmp_path: Path
) -> None:
    """A7: a catalogue that was brought back from an old copy is told, with what to do."""
    vault = before.after.copy(tmp_path / "vault")
    Path(f"{vault.folder}/catalogue.sqlite").unlink()
    shutil.copy(before.vault.folder / "catalogue.sqlite", vault.folder)
    third = write_package(tmp_path / "grown", {"page": b"third"})
    outcomes = vault.ingest([third, before.fresh])
    assert [outcome.status for outcome in outcomes] == [IngestStatus.FAILED] * 2
    assert all("jindang catalog rebuild" in str(outcome.error) for outcome in outcomes), outcomes
    assert read_inventory(vault.object_root("grown")).inventory.head.number == 2


def test_what_the_catalogue_has_and_storage_lost_is_not_begun_anew(before: Before, tmp_path: Path) -> None:
    """A7: an object that was removed by hand is told as lost; a new version 1 would hide it."""
    vault = before.after.copy(tmp_path / "vault")
    shutil.rmtree(vault.object_root("fresh"))
    (outcome,) = vault.ingest([before.fresh])
    assert (outcome.status, outcome.error and outcome.error.exit_code) == (IngestStatus.FAILED, 5)
    assert "restore the object" in str(outcome.error)
    with vault.catalog() as catalog:
        assert catalog.intents() == []
    assert not vault.object_root("fresh").exists()


def test_a_commit_of_the_catalogue_is_on_the_medium(before: Before) -> None:
    """A20: SQLite is told to sync its log at every commit."""
    catalog = Catalog(before.vault.url)
    with catalog, catalog._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
