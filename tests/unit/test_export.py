"""Exports: what comes out is what went in, proved file by file, or nothing comes out at all."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from repository.errors import IntegrityError, InvalidInputError, OperationCancelledError
from repository.export import Exported, ExportForm, export_version
from repository.model import Metadata, ObjectId, ObjectRecord
from repository.ocfl.inventory import VersionNumber
from repository.ocfl.object import read_inventory
from repository.packages.bag_validation import validate_bag
from repository.packages.package import Limits
from repository.stop import StopToken
from tests.doubles.packages_builder import ODD_NAMES
from tests.fixtures.command_line import CommandLine, jindang, signals_restored, tree

__all__ = ["jindang", "signals_restored"]

RECORD = ObjectRecord(
    id=ObjectId("urn:jindang:120000:J019%20%C2%B7"),
    object_path="",
    metadata=Metadata(title="规划图"),
    versions=(),
)


def object_root(jindang: CommandLine) -> Path:
    (inventory,) = jindang.tier.glob("*/*/*/*/inventory.json")
    return inventory.parent


def export(
    root: Path,
    destination: Path,
    *,
    number: int = 1,
    form: ExportForm = ExportForm.FOLDER,
    stop: StopToken | None = None,
) -> Exported:
    return export_version(
        root,
        read_inventory(root).inventory,
        RECORD,
        number=VersionNumber(number),
        destination=destination,
        form=form,
        bagged=datetime(2026, 11, 22, 8, tzinfo=UTC),
        stop=stop or StopToken(),
    )


@pytest.fixture
def ingested(jindang: CommandLine, tmp_path: Path) -> Callable[[dict[str, bytes]], Path]:
    """Takes in a package of these files, and gives the object's folder."""

    def ingest(files: dict[str, bytes]) -> Path:
        package = tmp_path / "package"
        for path in package.rglob("*") if package.exists() else ():
            if path.is_file():
                path.unlink()
        for name, content in files.items():
            (package / name).parent.mkdir(parents=True, exist_ok=True)
            (package / name).write_bytes(content)
        assert jindang("ingest", package).code == 0
        return object_root(jindang)

    return ingest


Ingested = Callable[[dict[str, bytes]], Path]


@pytest.mark.parametrize("content", [b"one page", b""], ids=["one file", "one empty file"])
@pytest.mark.parametrize("form", ExportForm)
def test_an_object_of_one_file_comes_back_equal(
    ingested: Ingested, tmp_path: Path, content: bytes, form: ExportForm
) -> None:
    """Row A4: objects of one file, and of one empty file, are restored completely."""
    root = ingested({"only": content})
    exported = export(root, tmp_path / "out", form=form)
    assert tree(tmp_path / "out" / "data") == {"only": content}
    assert (exported.files, exported.size_bytes) == (1, len(content))


def test_every_version_comes_back_as_it_was(ingested: Ingested, tmp_path: Path) -> None:
    versions = [
        {"kept": b"kept", "changed": b"1", "removed": b"gone", "a/moved": b"same"},
        {"kept": b"kept", "changed": b"2", "b/moved": b"same", "copied": b"kept"},
        {"kept": b"kept", "changed": b"1"},
    ]
    for files in versions:
        root = ingested(files)
    for number, files in enumerate(versions, start=1):
        export(root, tmp_path / f"v{number}", number=number)
        assert tree(tmp_path / f"v{number}" / "data") == files


@pytest.mark.parametrize("form", ExportForm)
def test_odd_names_come_back_as_they_were(ingested: Ingested, tmp_path: Path, form: ExportForm) -> None:
    files = {name: name.encode() for name in ODD_NAMES}
    export(ingested(files), tmp_path / "out", form=form)
    assert tree(tmp_path / "out" / "data") == files


def test_a_bag_is_a_valid_bag_that_says_what_it_is(ingested: Ingested, tmp_path: Path) -> None:
    files = {name: name.encode() for name in ODD_NAMES}
    export(ingested(files), tmp_path / "bag", form=ExportForm.BAGIT)
    report = validate_bag(tmp_path / "bag", limits=Limits(), stop=StopToken())
    assert (report.valid, report.errors, report.version) == (True, (), "1.0")
    assert (tmp_path / "bag" / "bag-info.txt").read_text() == (
        "External-Identifier: urn:jindang:120000:J019%20%C2%B7\n"
        "External-Description: 规划图\n"
        "Bagging-Date: 2026-11-22\n"
        f"Payload-Oxum: {sum(map(len, files.values()))}.{len(files)}\n"
    )
    tagged = (tmp_path / "bag" / "tagmanifest-sha512.txt").read_text()
    for tag_file in ("bagit.txt", "bag-info.txt", "manifest-sha512.txt", "metadata/object.json"):
        assert f"  {tag_file}\n" in tagged


def flip_a_byte(content: Path) -> None:
    data = bytearray(content.read_bytes())
    data[len(data) // 2] ^= 0xFF
    content.unlink()
    content.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flip_a_byte, "A stored file is not what it was"),
        (lambda content: os.truncate(content, 3), "A stored file is not what it was"),
        (lambda content: content.write_bytes(content.read_bytes() + b"more"), "A stored file is not what it was"),
        (Path.unlink, "A stored file is missing"),
    ],
    ids=["byte flipped", "cut off", "appended to", "missing"],
)
@pytest.mark.parametrize("form", ExportForm)
def test_a_damaged_file_ends_the_export_and_nothing_is_left(
    ingested: Ingested, tmp_path: Path, damage: Callable[[Path], None], said: str, form: ExportForm
) -> None:
    root = ingested({"a": b"first page", "b": b"second page", "c": b"third page"})
    damage(root / "v1" / "content" / "data" / "b")
    target = tmp_path / "exports"
    target.mkdir()
    with pytest.raises(IntegrityError, match=said) as caught:
        export(root, target / "out", form=form)
    assert caught.value.exit_code == 5
    assert caught.value.where == str(root / "v1/content/data/b")
    assert caught.value.next_step
    assert list(target.iterdir()) == []


def test_a_link_in_place_of_a_stored_file_is_not_followed(ingested: Ingested, tmp_path: Path) -> None:
    root = ingested({"a": b"first page"})
    (tmp_path / "other").write_bytes(b"first page")
    content = root / "v1" / "content" / "data" / "a"
    content.unlink()
    content.symlink_to(tmp_path / "other")
    with pytest.raises(IntegrityError, match="link"):
        export(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_stopped_export_leaves_nothing(ingested: Ingested, tmp_path: Path) -> None:
    root = ingested({"a": b"first page"})
    stop = StopToken()
    stop.set()
    target = tmp_path / "exports"
    target.mkdir()
    with pytest.raises(OperationCancelledError):
        export(root, target / "out", stop=stop)
    assert list(target.iterdir()) == []


@pytest.mark.parametrize("kind", ["folder", "file", "dangling link"])
def test_a_destination_that_exists_is_refused_and_left_alone(ingested: Ingested, tmp_path: Path, kind: str) -> None:
    root = ingested({"a": b"first page"})
    destination = tmp_path / "out"
    if kind == "folder":
        destination.mkdir()
    elif kind == "file":
        destination.write_text("mine")
    else:
        destination.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InvalidInputError, match="exists already"):
        export(root, destination)
    assert not (tmp_path / "nowhere").exists()


class _AppearsMeanwhile(StopToken):
    def __init__(self, destination: Path) -> None:
        super().__init__()
        self._destination = destination

    def check(self) -> None:
        self._destination.mkdir(exist_ok=True)


def test_a_destination_that_appears_meanwhile_is_not_overwritten(ingested: Ingested, tmp_path: Path) -> None:
    root = ingested({"a": b"first page"})
    target = tmp_path / "exports"
    target.mkdir()
    with pytest.raises(InvalidInputError, match="exists already"):
        export(root, target / "out", stop=_AppearsMeanwhile(target / "out"))
    assert [path.name for path in target.iterdir()] == ["out"]
    assert list((target / "out").iterdir()) == []


def test_the_folder_of_the_destination_must_be_there(ingested: Ingested, tmp_path: Path) -> None:
    root = ingested({"a": b"first page"})
    with pytest.raises(InvalidInputError, match="make it first"):
        export(root, tmp_path / "none" / "out")


def test_a_version_that_is_not_there_is_told(ingested: Ingested, tmp_path: Path) -> None:
    root = ingested({"a": b"first page"})
    with pytest.raises(InvalidInputError, match="ask for one of v1 to v1"):
        export(root, tmp_path / "out", number=2)
    assert not (tmp_path / "out").exists()
