"""A storage root: how it is made, listed, and how objects and versions are put into place in it."""

from pathlib import Path

import pytest

from repository.durable import FileSystemSync, remove_tree
from repository.errors import IntegrityError, InventoryError, NotFoundError, TierIdentityError, TierUnavailableError
from repository.ocfl import storage_root
from repository.ocfl.inventory import VersionNumber
from repository.ocfl.object import read_inventory
from repository.ocfl.storage_root import StorageRoot
from repository.ocfl.validation import is_valid, validate_object, validate_storage_root
from tests.doubles.ocfl_builder import FIRST_FILES, OcflObject, OcflRoot, one_version

SIDECAR = "inventory.json.sha512"
PLACE = "abc/def/012/object"
FILES = {"0=ocfl_1.1", "ocfl_layout.json", "extensions"}


@pytest.fixture
def root(tmp_path: Path) -> StorageRoot:
    return StorageRoot.create(tmp_path / "root")


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def with_two_versions(folder: Path) -> OcflObject:
    return OcflObject(folder).add(FIRST_FILES).add({"a.txt": b"changed\n"}).write()


def new_version(root: StorageRoot, tmp_path: Path) -> Path:
    """Puts an object with version 1 into place, and stages its version 2; returns the staged folder."""
    one_version(root.path / PLACE)
    staged = tmp_path / "staged"
    made = with_two_versions(tmp_path / "made")
    staged.mkdir()
    for name in ("v2", "inventory.json", SIDECAR):
        (made.root / name).rename(staged / name)
    return staged


# making one


def test_a_new_root_is_valid_and_can_be_made_again(tmp_path: Path) -> None:
    first = StorageRoot.create(tmp_path / "a" / "root")
    assert list(validate_storage_root(first.path)) == []
    before = {path: path.stat().st_ino for path in first.path.rglob("*")}
    assert StorageRoot.create(first.path).layout == first.layout == StorageRoot.open(first.path).layout
    assert {path: path.stat().st_ino for path in first.path.rglob("*")} == before
    assert names(first.path) == FILES


@pytest.mark.parametrize("cut_off_after", range(4))
def test_an_interrupted_making_is_finished(
    tmp_path: Path, cut_off_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before a file has its name, what was written of it lies beside it under another."""
    written = 0
    write = storage_root.write_durable_file

    def write_some(path: Path, data: bytes, *, mode: int) -> None:
        nonlocal written
        if written == cut_off_after:
            path.with_name(f".{path.name}.4711.new").write_bytes(data[:3])
            raise KeyboardInterrupt
        written += 1
        write(path, data, mode=mode)

    with monkeypatch.context() as patched:
        patched.setattr(storage_root, "write_durable_file", write_some)
        if cut_off_after < 3:
            with pytest.raises(KeyboardInterrupt):
                StorageRoot.create(tmp_path / "root")
            with pytest.raises(TierIdentityError):
                StorageRoot.open(tmp_path / "root")
        else:
            StorageRoot.create(tmp_path / "root")
    root = StorageRoot.create(tmp_path / "root")
    assert is_valid(list(validate_storage_root(root.path)))
    assert names(root.path) >= FILES


@pytest.mark.parametrize("foreign", ["file.txt", "folder/file", ".hidden", ".0=ocfl_1.1.new", "0=ocfl_1.0"])
def test_a_folder_with_something_else_is_not_taken(tmp_path: Path, foreign: str) -> None:
    path, (top, *_) = tmp_path / foreign, foreign.split("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("somebody's")
    with pytest.raises(TierIdentityError, match="not empty") as caught:
        StorageRoot.create(tmp_path)
    assert top in str(caught.value)
    assert names(tmp_path) == {top}


def test_a_root_that_holds_objects_is_not_taken_for_a_new_one(root: StorageRoot) -> None:
    """But what a tier keeps beside its objects is no object."""
    (root.path / "README.txt").write_text("")
    assert StorageRoot.create(root.path).layout == root.layout
    one_version(root.path / PLACE)
    with pytest.raises(TierIdentityError, match="abc"):
        StorageRoot.create(root.path)


def test_what_is_no_root_is_not_opened(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(TierIdentityError, match="no OCFL 1\\.1 storage root"):
            StorageRoot.open(path)
    (tmp_path / "file").write_text("")
    with pytest.raises(TierUnavailableError):
        StorageRoot.create(tmp_path / "file")


# listing


def test_objects_are_listed_in_the_order_of_their_paths(tmp_path: Path) -> None:
    ocfl = OcflRoot(tmp_path / "root").write()
    ocfl.declare_layout("0003-hash-and-id-n-tuple-storage-layout")
    places = ["b/x", "a/b/c", "a/b-c/d", "a/b/a", "文/件", "a/B/c", "a.b", "a/b c"]
    for place in places:
        ocfl.object(place)
    (ocfl.path / "empty" / "deep").mkdir(parents=True)
    (ocfl.path / "extensions" / "looks-like" / "0=ocfl_object_1.1").mkdir(parents=True)
    (ocfl.path / "link").symlink_to(ocfl.path / "a")
    found = list(StorageRoot.open(ocfl.path).object_paths())
    assert found == sorted(places)


@pytest.mark.parametrize("after", ["", "a", "a/b", "a/b-c/d", "a/b/b", "b/x", "zz"])
def test_a_listing_goes_on_after_any_path(tmp_path: Path, after: str) -> None:
    ocfl = OcflRoot(tmp_path / "root").write()
    ocfl.declare_layout("0003-hash-and-id-n-tuple-storage-layout")
    places = ["b/x", "a/b/c", "a/b-c/d", "a/b/a", "文/件", "a.b", "a/b c"]
    for place in places:
        ocfl.object(place)
    found = list(StorageRoot.open(ocfl.path).object_paths(after=after))
    assert found == sorted(place for place in places if place > after)


def test_listing_looks_no_further_than_it_is_asked(root: StorageRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        one_version(root.path / f"{number:03}" / "object")
    seen = []
    scandir = storage_root.os.scandir

    def watch(path: Path) -> object:
        seen.append(path)
        return scandir(path)

    monkeypatch.setattr(storage_root.os, "scandir", watch)
    paths = root.object_paths()
    assert [next(paths), next(paths)] == ["000/object", "001/object"]
    assert len(seen) <= 6
    paths.close()  # type: ignore[attr-defined]


def test_a_folder_that_cannot_be_listed_is_told(root: StorageRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that is not seen would be reported as lost."""
    one_version(root.path / PLACE)
    scandir = storage_root.os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "def":
            raise OSError(5, "Input/output error", str(path))
        return scandir(path)

    monkeypatch.setattr(storage_root.os, "scandir", refuse)
    with pytest.raises(TierUnavailableError, match="abc/def"):
        list(root.object_paths())


# new objects


def test_a_new_object_is_put_into_place_whole_or_not_at_all(root: StorageRoot, tmp_path: Path) -> None:
    assert root.head(PLACE) == 0
    staged = one_version(tmp_path / "staged").root
    root.place_object(staged, PLACE)
    assert root.head(PLACE) == 1
    assert not staged.exists()
    other = one_version(tmp_path / "other", object_id="urn:example:2").root
    with pytest.raises(FileExistsError):
        root.place_object(other, PLACE)
    assert other.is_dir()
    assert read_inventory(root.path / PLACE).inventory.id == "urn:example:1"


def test_a_staged_object_that_is_gone_is_told(root: StorageRoot, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        root.place_object(tmp_path / "nothing", PLACE)
    root.remove_empty_parents(PLACE)
    assert names(root.path) == FILES


def test_a_file_in_the_way_of_an_objects_parents_is_told(root: StorageRoot, tmp_path: Path) -> None:
    staged = one_version(tmp_path / "staged").root
    (root.path / "abc").mkdir()
    (root.path / "abc" / "def").write_text("")
    with pytest.raises(NotADirectoryError):
        root.place_object(staged, PLACE)
    (root.path / "abc" / "def").unlink()
    (root.path / "abc" / "def").mkdir()
    (root.path / "abc" / "def" / "012").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        root.place_object(staged, PLACE)


@pytest.mark.parametrize("made", ["", "abc", "abc/def", "abc/def/012"])
def test_parents_that_were_made_for_nothing_are_removed_as_far_as_they_were_made(root: StorageRoot, made: str) -> None:
    (root.path / made).mkdir(parents=True, exist_ok=True)
    root.remove_empty_parents(PLACE)
    root.remove_empty_parents(PLACE)
    assert names(root.path) == FILES


def test_parents_that_hold_something_stay(root: StorageRoot) -> None:
    one_version(root.path / "abc/def/999/other")
    (root.path / "abc/def/012").mkdir()
    root.remove_empty_parents(PLACE)
    assert names(root.path / "abc/def") == {"999"}
    assert root.head("abc/def/999/other") == 1


@pytest.mark.parametrize("step", ["rename_new", "mkdir"])
def test_an_object_finds_its_place_when_somebody_who_rolls_back_removes_its_parents(
    root: StorageRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """After they were made; or while pathlib looks whether what it found there is a folder."""
    staged, removed = one_version(tmp_path / "staged").root, 0
    rename, mkdir = storage_root.rename_new, Path.mkdir

    def rename_late(source: Path, target: Path) -> None:
        nonlocal removed
        if removed < 5:
            root.remove_empty_parents(PLACE)
            removed += 1
        rename(source, target)

    def mkdir_late(path: Path, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        nonlocal removed
        if removed < 5:
            removed += 1
            raise FileExistsError(path)
        mkdir(path, mode, parents, exist_ok)

    with monkeypatch.context() as patched:
        if step == "mkdir":
            patched.setattr(Path, "mkdir", mkdir_late)
        else:
            patched.setattr(storage_root, "rename_new", rename_late)
        root.place_object(staged, PLACE)
    assert (root.head(PLACE), removed) == (1, 5)


# new versions


def test_a_new_version_is_there_when_its_folder_and_the_root_inventory_are(root: StorageRoot, tmp_path: Path) -> None:
    staged, target = new_version(root, tmp_path), root.path / PLACE
    root.place_version(staged, PLACE, VersionNumber(2))
    assert (root.head(PLACE), read_inventory(target).in_order) == (1, True)
    root.replace_head(staged, PLACE, "sha512")
    assert (root.head(PLACE), read_inventory(target).in_order) == (2, True)
    assert is_valid(validate_object(target))
    assert list(staged.iterdir()) == []


def test_a_version_never_replaces_another(root: StorageRoot, tmp_path: Path) -> None:
    staged, target = new_version(root, tmp_path), root.path / PLACE
    (target / "v2").mkdir()
    with pytest.raises(FileExistsError):
        root.place_version(staged, PLACE, VersionNumber(2))
    assert list((target / "v2").iterdir()) == []
    assert (staged / "v2").is_dir()


def test_the_root_inventory_is_renamed_before_its_sidecar(
    root: StorageRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two, the version's own folder vouches for the inventory; the other way round nothing would."""
    staged, target = new_version(root, tmp_path), root.path / PLACE
    root.place_version(staged, PLACE, VersionNumber(2))
    heads = []
    rename = Path.rename

    def watch(path: Path, to: Path) -> Path:
        moved = rename(path, to)
        heads.append((to.name, read_inventory(target).inventory.head.number))
        return moved

    monkeypatch.setattr(Path, "rename", watch)
    root.replace_head(staged, PLACE, "sha512")
    assert heads == [("inventory.json", 2), (SIDECAR, 2)]


# completing


class Completion:
    def __init__(self, root: StorageRoot, scratch: Path) -> None:
        self.root, self.scratch = root, scratch

    def __call__(self, interrupted: int | None = None) -> bool:
        with FileSystemSync(self.root.path) as sync:
            try:
                return self.root.complete_version(PLACE, self.scratch, sync, interrupted=interrupted)
            finally:
                remove_tree(self.scratch)


@pytest.fixture
def complete(root: StorageRoot, tmp_path: Path) -> Completion:
    return Completion(root, tmp_path / "scratch")


def test_an_object_in_order_needs_no_completion(root: StorageRoot, complete: Completion) -> None:
    with pytest.raises(NotFoundError):
        complete()
    one_version(root.path / PLACE)
    before = (root.path / PLACE / "inventory.json").stat().st_ino
    assert not complete()
    assert (root.path / PLACE / "inventory.json").stat().st_ino == before


@pytest.mark.parametrize("renamed", [(), ("inventory.json",), ("inventory.json", SIDECAR)])
def test_a_version_that_was_cut_off_is_completed_once(
    root: StorageRoot, tmp_path: Path, complete: Completion, renamed: tuple[str, ...]
) -> None:
    staged, target = new_version(root, tmp_path), root.path / PLACE
    root.place_version(staged, PLACE, VersionNumber(2))
    for name in renamed:
        (staged / name).rename(target / name)
    assert complete() == (len(renamed) < 2)
    assert root.head(PLACE) == 2
    assert is_valid(validate_object(target))
    assert not complete()


def test_a_further_version_of_another_object_is_not_taken_for_ours(
    root: StorageRoot, tmp_path: Path, complete: Completion
) -> None:
    one_version(root.path / PLACE)
    other = OcflObject(tmp_path / "other", object_id="urn:example:2").add(FIRST_FILES).add({"x": b"x"}).write()
    (other.root / "v2").rename(root.path / PLACE / "v2")
    with pytest.raises(IntegrityError, match="not complete"):
        complete(interrupted=2)
    assert root.head(PLACE) == 1


def test_a_damaged_root_inventory_is_made_again_only_where_an_intent_says_that_it_was_being_written(
    root: StorageRoot, complete: Completion
) -> None:
    made = with_two_versions(root.path / PLACE)
    whole = (made.root / "inventory.json").read_bytes()
    made.put("inventory.json", whole[:100])
    for intent in (None, 1, 3):
        with pytest.raises(InventoryError):
            complete(interrupted=intent)
        assert (made.root / "inventory.json").read_bytes() == whole[:100]
    assert complete(interrupted=2)
    assert (made.root / "inventory.json").read_bytes() == whole
    assert is_valid(validate_object(made.root))


def test_the_new_root_inventory_is_on_the_medium_before_it_has_its_name(
    root: StorageRoot, tmp_path: Path, complete: Completion, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.place_version(new_version(root, tmp_path), PLACE, VersionNumber(2))
    done = []
    sync, replace = FileSystemSync.sync, StorageRoot.replace_head

    def watch_sync(self: FileSystemSync) -> None:
        done.append("sync")
        sync(self)

    def watch_replace(self: StorageRoot, staged: Path, object_path: str, algorithm: str) -> None:
        done.append("rename")
        replace(self, staged, object_path, algorithm)

    monkeypatch.setattr(FileSystemSync, "sync", watch_sync)
    monkeypatch.setattr(StorageRoot, "replace_head", watch_replace)
    assert complete()
    assert done == ["sync", "rename", "sync"]
