"""Storage roots: declarations, layout, hierarchy, extensions, and objects one after the other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repository.errors import InvalidInputError, NotFoundError, OperationCancelledError
from repository.ocfl import validate_files
from repository.ocfl.layout import layout_for
from repository.ocfl.validation import UNREADABLE, report_on, report_on_storage_root, validate_storage_root
from repository.stop import StopToken
from tests.doubles.ocfl_builder import OcflRoot, one_version, to_json
from tests.doubles.ocfl_cases import failing

HASH_ID = "0003-hash-and-id-n-tuple-storage-layout"


def codes(made: OcflRoot, **options: Any) -> set[str]:
    return {finding.code for finding in validate_storage_root(made.path, **options)}


@pytest.fixture(params=["1.0", "1.1"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> OcflRoot:
    """Two objects in a hierarchy, and files that the root may have."""
    made = OcflRoot(tmp_path / "root", request.param).write()
    made.object("a/b/one")
    made.object("a/c/two")
    made.put("ocfl_1.1.md")
    made.put("README.txt")
    return made


def test_a_good_root_has_no_findings(root: OcflRoot) -> None:
    assert list(validate_storage_root(root.path)) == []


def test_a_minimal_root_has_no_findings(tmp_path: Path) -> None:
    assert codes(OcflRoot(tmp_path / "root").write()) == set()


def test_a_root_with_its_layout_has_no_findings(tmp_path: Path) -> None:
    made = OcflRoot(tmp_path / "root").write()
    made.declare_layout(HASH_ID, tupleSize=2, numberOfTuples=2)
    layout = layout_for(HASH_ID, {"tupleSize": 2, "numberOfTuples": 2})
    for number in range(5):
        made.object(layout.object_path(f"urn:x:{number}"), object_id=f"urn:x:{number}")
    assert codes(made) == set()


BREAKS: dict[str, tuple[Callable[[OcflRoot], object], set[str]]] = {
    "E069_no_declaration": (lambda r: (r.path / f"0=ocfl_{r.spec_version}").unlink(), {"E069"}),
    "E076_two_declarations": (
        lambda r: [r.put(f"0=ocfl_{each}", f"ocfl_{each}\n".encode()) for each in ("1.0", "1.1")],
        {"E076"},
    ),
    "E077_other_form": (lambda r: r.put("0=ocfl-1.1", b"ocfl-1.1\n"), {"E076", "E077", "E079"}),
    "E078_other_digit": (
        lambda r: (r.path / f"0=ocfl_{r.spec_version}").rename(r.path / f"7=ocfl_{r.spec_version}"),
        {"E069", "E078"},
    ),
    "E079_unknown_release": (lambda r: r.put("0=ocfl_9.9", b"ocfl_9.9\n"), {"E076", "E079"}),
    "E080_content": (lambda r: r.put(f"0=ocfl_{r.spec_version}", b"ocfl"), {"E080"}),
    "E070_not_json": (lambda r: r.put("ocfl_layout.json", b"{"), {"E070"}),
    "E070_not_object": (lambda r: r.put("ocfl_layout.json", b"[]"), {"E070"}),
    "E070_no_extension": (lambda r: r.put("ocfl_layout.json", b'{"description": "d"}'), {"E070"}),
    "E070_no_description": (
        lambda r: r.put("ocfl_layout.json", to_json({"extension": "0005-mutable-head"})),
        {"E070"},
    ),
    "E071_unregistered": (
        lambda r: r.put("ocfl_layout.json", to_json({"extension": "ours", "description": "d"})),
        {"E071"},
    ),
    "E072_file_in_hierarchy": (lambda r: r.put("a/b/file.txt"), {"E072"}),
    "E072_hidden_file_in_hierarchy": (lambda r: r.put("a/.DS_Store"), {"E072"}),
    "E072_E088_other_tree": (lambda r: r.put("documents/2026/letter.pdf"), {"E072", "E088"}),
    "E072_undeclared_object": (lambda r: r.object("d/x").remove(f"0=ocfl_object_{r.spec_version}"), {"E003", "E072"}),
    "E073_empty_directory": (lambda r: (r.path / "a/empty").mkdir(), {"E073"}),
    "E073_empty_tree": (lambda r: (r.path / "e/f/g").mkdir(parents=True), {"E073"}),
    "E090_link_in_hierarchy": (lambda r: (r.path / "a/link").symlink_to("b"), {"E090"}),
    "E090_link_in_root": (lambda r: (r.path / "link").symlink_to("a"), {"E090"}),
    "E092_damaged_object": (lambda r: r.put("a/b/one/v1/content/a.txt", b"rot"), {"E092"}),
    "E037_same_identifier_twice": (lambda r: r.object("a/d/x", object_id="urn:example:a/b/one"), {"E037"}),
    "W015_objects_at_two_levels": (lambda r: r.object("top"), {"W015"}),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_root_is_found_out(root: OcflRoot, name: str) -> None:
    break_it, expected = BREAKS[name]
    break_it(root)
    assert codes(root) == expected, [str(each) for each in validate_storage_root(root.path)]


def test_extensions_of_the_root(root: OcflRoot) -> None:
    root.put("extensions/file")
    root.put("extensions/unregistered/config.json")
    root.put("extensions/0008-schema-registry/deep/er/file")
    expected = {"E067", "E086", "W013"} if root.spec_version == "1.0" else {"E067", "E112", "W016"}
    assert codes(root) == expected


def test_an_empty_extensions_directory_is_an_empty_directory(root: OcflRoot) -> None:
    (root.path / "extensions").mkdir()
    assert codes(root) == {"E073"}


def test_a_newer_object_in_an_older_root(tmp_path: Path) -> None:
    made = OcflRoot(tmp_path / "root", "1.0").write()
    one_version(made.path / "new", spec_version="1.1")
    assert codes(made) == {"E081"}


def test_an_older_object_in_a_newer_root(tmp_path: Path) -> None:
    made = OcflRoot(tmp_path / "root", "1.1").write()
    one_version(made.path / "old", spec_version="1.0")
    assert codes(made) == set()


def test_objects_away_from_their_layout_place_are_pointed_out(tmp_path: Path) -> None:
    made = OcflRoot(tmp_path / "root").write()
    made.declare_layout(HASH_ID)
    layout = layout_for(HASH_ID)
    made.object(layout.object_path("urn:x:1"), object_id="urn:x:1")
    made.object("some/where/else", object_id="urn:x:2")
    assert codes(made) == {"W014"}
    made.object("an/other/place", object_id="urn:x:1")
    assert codes(made) == {"W014", "E037"}


def test_an_unknown_layout_configuration_is_no_crash(tmp_path: Path) -> None:
    made = OcflRoot(tmp_path / "root").write()
    made.declare_layout(HASH_ID, tupleSize="three")
    made.object("a/b")
    assert codes(made) == set()


def test_one_bad_object_does_not_stop_the_others(root: OcflRoot) -> None:
    root.put("a/b/one/inventory.json", b"[" * 100_000)
    root.put("a/c/two/extra")
    reports = {report.path: report for report in report_on_storage_root(root.path)}
    assert set(reports) == {"", "a/b/one", "a/c/two"}
    assert {finding.code for finding in reports["a/b/one"].findings} >= {"E033", "E060"}
    assert [finding.path for finding in reports["a/c/two"].findings] == ["a/c/two/extra"]
    assert reports["a/c/two"].object == "urn:example:a/c/two"
    assert reports[""].is_valid
    assert not reports["a/c/two"].is_valid


def test_reports_come_as_the_objects_are_read(root: OcflRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = report_on_storage_root(root.path)
    assert next(reports).path == ""
    assert next(reports).path == "a/b/one"
    monkeypatch.setattr(validate_files.os, "scandir", None)
    with pytest.raises(TypeError):
        next(reports)


def test_unreadable_directories_are_not_foreign_ones(root: OcflRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, validate_files, "list_directory", "/a/b")
    assert codes(root) == {UNREADABLE}


def test_a_stop_ends_it(root: OcflRoot) -> None:
    stop = StopToken()
    reports = report_on_storage_root(root.path, stop=stop)
    next(reports)
    stop.set()
    with pytest.raises(OperationCancelledError):
        list(reports)


def test_paths_that_are_no_root(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        list(validate_storage_root(tmp_path / "absent"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidInputError):
        list(validate_storage_root(tmp_path / "file"))


def test_a_path_is_judged_as_what_it_looks_like(root: OcflRoot) -> None:
    def judge(path: Path) -> list[str]:
        return [report.object for report in report_on(path, check_digests=True, stop=StopToken(), workers=1)]

    assert judge(root.path) == [str(root.path), "urn:example:a/b/one", "urn:example:a/c/two"]
    assert judge(root.path / "a/b/one") == ["urn:example:a/b/one"]
    assert judge(root.path / "a") == [str(root.path / "a")]
    with pytest.raises(NotFoundError):
        judge(root.path / "absent")
