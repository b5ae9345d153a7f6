"""How validation reads: each file once, no links, stops when asked, and never calls unread bytes good or bad."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from repository.errors import InvalidInputError, NotFoundError, OperationCancelledError
from repository.ocfl import validate_content, validate_files
from repository.ocfl.validation import UNREADABLE, is_valid, validate_object
from repository.stop import StopToken
from tests.doubles.ocfl_builder import OcflObject, digest_of, one_version, three_versions, to_json
from tests.doubles.ocfl_cases import failing


def codes(root: Path, **options: Any) -> set[str]:
    return {finding.code for finding in validate_object(root, **options)}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of all files that were opened to be read, in order."""
    paths: list[str] = []
    original = validate_files.open_plain

    def remember(path: Path) -> int:
        paths.append(str(path))
        return original(path)

    monkeypatch.setattr(validate_content, "open_plain", remember)
    return paths


def two_algorithms(root: Path) -> OcflObject:
    made = OcflObject(root, algorithm="sha256", fixity=("md5", "size"))
    made.add({"a": b"1", "b": b"2"})
    made.algorithm = "sha512"
    made.fixity = ("sha1", "blake2b-160")
    return made.add({"a": b"1", "b": b"2", "c": b"3"}).write()


def test_every_content_file_is_read_once_whatever_asks_for_it(tmp_path: Path, opened: list[str]) -> None:
    made = two_algorithms(tmp_path / "object")
    assert codes(made.root) == {"W004"}
    assert sorted(opened) == sorted(str(made.root / path) for path in made.stored)


def test_nothing_is_read_without_check_digests(tmp_path: Path, opened: list[str]) -> None:
    made = two_algorithms(tmp_path / "object")
    made.put("v1/content/a", b"x")
    assert codes(made.root, check_digests=False) == {"W004"}
    assert opened == []


def test_sizes_are_compared_without_reading(tmp_path: Path, opened: list[str]) -> None:
    made = one_version(tmp_path / "object", fixity=("size",))
    made.put("v1/content/a.txt", b"much longer than before")
    assert codes(made.root, check_digests=False) == {"E093"}
    assert opened == []


def test_inventories_that_contradict_each_other_are_found_without_reading(tmp_path: Path) -> None:
    made = three_versions(tmp_path / "object")
    digest = digest_of(b"first\n")
    text = (made.root / "v1/inventory.json").read_text().replace(digest, "1" * 128)
    made.put_inventory("v1", text.encode())
    assert codes(made.root, check_digests=False) == {"E066", "E092"}


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_any_number_of_workers_finds_the_same(tmp_path: Path, workers: int) -> None:
    made = OcflObject(tmp_path / "object", fixity=("md5",)).add({f"{n}.txt": b"%d" % n for n in range(600)}).write()
    for number in range(0, 600, 50):
        made.put(f"v1/content/{number}.txt", b"rotten")
    findings = validate_object(made.root, workers=workers)
    assert [finding.path for finding in findings if finding.code == "E092"] == sorted(
        f"v1/content/{number}.txt" for number in range(0, 600, 50)
    )
    assert len(findings) == 24
    assert findings == validate_object(made.root)


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    made = three_versions(tmp_path / "object")
    made.put("extra")
    made.put("v1/content/a.txt", b"x")
    made.remove("v2/content/d/e.txt")
    made.rewrite("v1", edit=lambda d: d.update(id="urn:other"))
    assert codes(made.root) == {"E001", "E024", "E037", "E092", "E110"}


def test_large_files_are_read_in_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = os.urandom((5 << 20) + 7)
    made = OcflObject(tmp_path / "object").add({"large": data}).write()
    seen: list[int] = []
    original = validate_content.copy_and_hash

    def watch(*arguments: Any, **options: Any) -> None:
        seen.append(len(options["buffer"]))
        original(*arguments, **options)

    monkeypatch.setattr(validate_content, "copy_and_hash", watch)
    assert codes(made.root) == set()
    assert seen == [1 << 20]


# ---------------------------------------------------------------- stopping


@pytest.mark.parametrize("workers", [1, 3])
def test_a_stop_ends_it(tmp_path: Path, workers: int) -> None:
    made = one_version(tmp_path / "object")
    stop = StopToken()
    stop.set()
    with pytest.raises(OperationCancelledError):
        validate_object(made.root, stop=stop, workers=workers)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_stop_in_the_middle_ends_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    made = OcflObject(tmp_path / "object").add({f"{n}": b"%d" % n for n in range(400)}).write()
    stop = StopToken()
    count = 0
    lock = threading.Lock()
    original = validate_content.open_plain

    def count_down(path: Path) -> int:
        nonlocal count
        with lock:
            count += 1
            if count == 20:
                stop.set()
        return original(path)

    monkeypatch.setattr(validate_content, "open_plain", count_down)
    with pytest.raises(OperationCancelledError):
        validate_object(made.root, stop=stop, workers=workers)
    assert count < 30


# ---------------------------------------------------------------- what cannot be read


def test_nothing_at_the_path(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing at this path"):
        validate_object(tmp_path / "absent")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidInputError, match="This is a file"):
        validate_object(tmp_path / "file")


def test_a_folder_that_is_no_object(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    findings = validate_object(tmp_path)
    assert {finding.code for finding in findings} == {"E001", "E003", "E008", "E063"}
    assert findings[0].object == str(tmp_path)


def test_a_storage_root_is_recognised_as_such(tmp_path: Path) -> None:
    (tmp_path / "0=ocfl_1.1").write_bytes(b"ocfl_1.1\n")
    assert any("looks like a storage root" in finding.message for finding in validate_object(tmp_path))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_unreadable_file_is_neither_good_nor_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    made = one_version(tmp_path / "object")
    failing(monkeypatch, validate_content, "open_plain", "b.txt")
    findings = validate_object(made.root, workers=workers)
    assert [(finding.code, finding.path) for finding in findings] == [(UNREADABLE, "v1/content/b.txt")]
    assert not is_valid(findings)


@pytest.mark.parametrize(
    ("where", "expected"),
    [("/object", {UNREADABLE}), ("/object/v1", {UNREADABLE}), ("/object/v1/content", {UNREADABLE})],
)
def test_an_unreadable_directory_makes_nothing_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, expected: set[str]
) -> None:
    made = one_version(tmp_path / "object")
    failing(monkeypatch, validate_files, "list_directory", where)
    assert codes(made.root) == expected


def test_an_unreadable_inventory_is_not_a_missing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from repository.ocfl import validate_structure

    made = one_version(tmp_path / "object")
    failing(monkeypatch, validate_structure, "read_plain", "object/inventory.json")
    assert codes(made.root) == {UNREADABLE}


# ---------------------------------------------------------------- strange names and hostile inventories


def test_names_that_are_not_utf_8_can_be_reported(tmp_path: Path) -> None:
    made = one_version(tmp_path / "object")
    Path(os.fsdecode(os.fsencode(made.root / "v1/content") + b"/\xff\xfe")).write_bytes(b"x")
    findings = validate_object(made.root)
    assert [finding.code for finding in findings] == ["E023"]
    findings[0].path.encode()
    assert findings[0].path.endswith("\\xff\\xfe")


@pytest.mark.parametrize("path", ["v1/content/" + "n" * 300, "v1/content/" + "d/" * 3000 + "f", "v1/content/a.txt/b"])
def test_paths_that_cannot_exist_are_missing_files(tmp_path: Path, path: str) -> None:
    made = one_version(tmp_path / "object")
    made.rewrite(edit=lambda d: d["manifest"][digest_of(b"first\n")].append(path))
    assert "E092" in codes(made.root)


def test_no_path_of_a_hostile_inventory_is_followed(tmp_path: Path, opened: list[str]) -> None:
    (tmp_path / "secret").write_bytes(b"first\n")
    made = one_version(tmp_path / "object")
    for path in ("../secret", "v1/content/../../../secret", "/etc/hostname", str(tmp_path / "secret")):
        made.rewrite(edit=lambda d, path=path: d["manifest"][digest_of(b"first\n")].append(path))
    assert {"E099", "E100"} <= codes(made.root)
    assert all(path.startswith(str(made.root / "v1/content")) for path in opened)


def test_an_inventory_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from repository.ocfl import validate_structure

    made = one_version(tmp_path / "object")
    monkeypatch.setattr(validate_structure, "MAX_INVENTORY_BYTES", 100)
    findings = validate_object(made.root)
    assert {finding.code for finding in findings} == {"E033"}


def test_a_sparse_version_sequence_is_no_burden(tmp_path: Path) -> None:
    made = one_version(tmp_path / "object")
    made.rewrite(edit=lambda d: d["versions"].update({"v999999999999999999": d["versions"]["v1"]}))
    findings = validate_object(made.root)
    assert len([finding for finding in findings if finding.code == "E010"]) <= 20


def test_findings_carry_the_identifier(tmp_path: Path) -> None:
    made = one_version(tmp_path / "object", object_id="urn:jindang:1")
    made.put("extra")
    assert validate_object(made.root)[0].object == "urn:jindang:1"
    made.put_inventory("", to_json([]))
    assert validate_object(made.root)[0].object == str(made.root)


def test_an_object_may_not_be_newer_than_its_storage_root(tmp_path: Path) -> None:
    assert codes(one_version(tmp_path / "new").root, root_spec_version="1.0") == {"E081"}
    assert codes(one_version(tmp_path / "old", spec_version="1.0").root, root_spec_version="1.1") == set()
