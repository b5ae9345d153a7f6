"""Reading one object: the inventory in force, whatever state a writer or a fault has left the object's root in."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from repository.errors import IntegrityError, InventoryError, NotFoundError, TierDeniedError, TierUnavailableError
from repository.ocfl import object as reading
from repository.ocfl.inventory import VersionNumber
from repository.ocfl.object import open_content, read_inventory, read_version_inventory
from tests.doubles.ocfl_builder import OcflObject, one_version, three_versions, to_json

SIDECAR = "inventory.json.sha512"
V1, V2, V3, V4 = (VersionNumber(number) for number in range(1, 5))


@pytest.fixture
def made(tmp_path: Path) -> OcflObject:
    return three_versions(tmp_path / "object")


def rot(path: Path) -> None:
    """Flip one bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("options", [{}, {"algorithm": "sha256"}, {"spec_version": "1.0"}, {"width": 4}], ids=str)
def test_an_object_in_order_is_read(tmp_path: Path, options: dict[str, object]) -> None:
    made = three_versions(tmp_path / "object", **options)
    stored = read_inventory(made.root)
    assert (stored.inventory.head, stored.in_order, stored.root_problem) == (V3, True, None)
    assert stored.data == (made.root / "inventory.json").read_bytes()
    algorithm = str(options.get("algorithm", "sha512"))
    assert stored.digest == (made.root / f"inventory.json.{algorithm}").read_text().split()[0]


def test_an_upper_case_sidecar_is_the_same_digest(made: OcflObject) -> None:
    made.put(SIDECAR, (made.root / SIDECAR).read_bytes().split()[0].upper() + b"\tinventory.json\n")
    assert read_inventory(made.root).in_order


@pytest.mark.parametrize("head", [1, 2])
def test_between_two_renames_the_root_inventory_decides(made: OcflObject, head: int) -> None:
    """The sidecar may be a version behind it, when its own rename is still to come."""
    made.put("inventory.json", (made.root / f"v{head}/inventory.json").read_bytes())
    stored = read_inventory(made.root)
    assert (stored.inventory.head.number, stored.in_order, stored.root_problem) == (head, False, None)


@pytest.mark.parametrize("damage", ["missing", "empty", "unreadable"])
def test_without_a_sidecar_the_version_vouches_for_the_root_inventory(made: OcflObject, damage: str) -> None:
    made.remove(SIDECAR)
    if damage != "missing":
        made.put(SIDECAR, b"" if damage == "empty" else b"\xff\xfe no digest")
    stored = read_inventory(made.root)
    assert (stored.inventory.head, stored.in_order, stored.root_problem) == (V3, False, None)


DAMAGES: dict[str, Callable[[OcflObject], object]] = {
    "missing": lambda made: made.remove("inventory.json"),
    "empty": lambda made: made.put("inventory.json", b""),
    "cut short": lambda made: made.put("inventory.json", (made.root / "inventory.json").read_bytes()[:-40]),
    "rotten": lambda made: rot(made.root / "inventory.json"),
    "another's": lambda made: made.put("inventory.json", to_json(made.inventory() | {"id": "urn:example:other"})),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_for_a_damaged_root_inventory_the_newest_versions_own_stands_in(made: OcflObject, damage: str) -> None:
    """And whoever wants to write learns why."""
    whole = (made.root / "inventory.json").read_bytes()
    DAMAGES[damage](made)
    stored = read_inventory(made.root)
    assert (stored.inventory.head, stored.in_order, stored.data) == (V3, False, whole)
    assert isinstance(stored.root_problem, InventoryError)
    assert "jindang ocfl validate" in str(stored.root_problem)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("version_damage", ["inventory.json", SIDECAR, "both", "stray version"])
def test_nothing_older_stands_in_for_the_newest_version(made: OcflObject, damage: str, version_damage: str) -> None:
    DAMAGES[damage](made)
    if version_damage == "stray version":
        (made.root / "v9").mkdir()
    else:
        for name in ("inventory.json", SIDECAR) if version_damage == "both" else (version_damage,):
            rot(made.root / "v3" / name)
    with pytest.raises(InventoryError) as caught:
        read_inventory(made.root)
    assert isinstance(caught.value, IntegrityError)


def test_where_nothing_is_there_is_no_object(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_inventory(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InventoryError, match="has no inventory"):
        read_inventory(tmp_path / "empty")


def test_what_cannot_be_read_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 6: a disk that does not answer says nothing about the object."""
    (tmp_path / "file").write_text("")
    with pytest.raises(TierUnavailableError):
        read_inventory(tmp_path / "file")
    made = one_version(tmp_path / "object")

    def refuse(_path: Path, _mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(TierDeniedError):
        read_inventory(made.root)


def test_an_inventory_without_end_is_not_read_to_its_end(made: OcflObject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_INVENTORY_BYTES", 100)
    with pytest.raises(InventoryError, match="larger than"):
        read_inventory(made.root)


# a version's own


def test_a_versions_own_inventory_is_read(made: OcflObject) -> None:
    for number in (V1, V2, V3):
        stored = read_version_inventory(made.root, number)
        assert stored is not None
        assert stored.inventory.head == number
        assert stored.data == (made.root / str(number) / "inventory.json").read_bytes()


def test_a_versions_inventory_that_cannot_be_trusted_is_none(made: OcflObject) -> None:
    assert read_version_inventory(made.root, V4) is None
    made.remove(f"v1/{SIDECAR}")
    rot(made.root / "v2/inventory.json")
    for name in ("inventory.json", SIDECAR):
        made.put(f"v3/{name}", (made.root / "v1" / name).read_bytes() if name == "inventory.json" else b"")
    made.put_inventory("v4", (made.root / "inventory.json").read_bytes())  # whole, but of version 3
    assert [read_version_inventory(made.root, number) for number in (V1, V2, V3, V4)] == [None] * 4


# content


def test_content_is_opened_unbuffered_and_never_through_a_link(made: OcflObject) -> None:
    with open_content(made.root, "v1/content/a.txt") as file:
        assert file.read() == b"first\n"
        assert not hasattr(file, "peek")
    (made.root / "v1/content/link").symlink_to("a.txt")
    with pytest.raises(OSError, match="symbolic links"):
        open_content(made.root, "v1/content/link")
    with pytest.raises(FileNotFoundError):
        open_content(made.root, "v1/content/none")


def test_reading_leaves_no_descriptor_open(made: OcflObject) -> None:
    before = sorted(fd.name for fd in Path("/proc/self/fd").iterdir())
    read_inventory(made.root)
    DAMAGES["empty"](made)
    read_inventory(made.root)
    os.close(os.open(made.root, os.O_RDONLY))
    assert sorted(fd.name for fd in Path("/proc/self/fd").iterdir()) == before
