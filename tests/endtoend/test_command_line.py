"""Each command as an operator calls it: what it does, what it says, and its exit code."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from tests.doubles.packages_builder import ODD_NAMES, bag, write_folder, write_tar, write_zip
from tests.fixtures.command_line import CommandLine, deposit, listing, tree

CODE = "J019-WS·2015·D30-003-005"
URI = "urn:jindang:120000:J019-WS%C2%B72015%C2%B7D30-003-005"


# init, config


def test_init_makes_a_repository_and_repeating_it_changes_nothing(jindang: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "my archive"
    said = jindang("init", folder, "--code", "120000", "--name", "天津市档案馆")
    assert said.code == 0
    assert "Next: jindang --config" in said.out
    assert {path.name for path in folder.iterdir()} == {"jindang.yaml", "data", "primary"}
    assert "天津市档案馆" in (folder / "jindang.yaml").read_text()
    before = listing(folder)
    assert jindang("init", folder, "--name", "another").code == 0
    assert listing(folder) == before


def test_init_never_makes_a_tier_again_that_the_catalogue_knows(jindang: CommandLine) -> None:
    jindang.tier.rename(jindang.folder / "away")
    said = jindang("init")
    assert (said.code, jindang.tier.exists()) == (4, False)
    assert "The tier 'primary' is not there" in said.err
    assert "mount the disk" in said.err


def test_init_refuses_a_folder_that_holds_something_else(jindang: CommandLine, tmp_path: Path) -> None:
    deposit(tmp_path / "other" / "primary", precious="text")
    said = jindang("init", tmp_path / "other")
    assert said.code == 4
    assert "The folder is not empty and not a storage root" in said.err
    assert tree(tmp_path / "other" / "primary") == {"precious": b"text"}


def test_the_configuration_is_checked_and_shown(jindang: CommandLine) -> None:
    assert "right; 天津市档案馆, tiers: primary" in jindang("config", "check").out
    assert jindang.json("config", "check")["valid"] is True
    assert jindang.json("config", "show")["ingest"]["digest"] == "sha512"
    assert json.loads(jindang("config", "schema").out)["title"] == "Settings"


def test_a_wrong_configuration_is_exit_code_3_for_every_command(jindang: CommandLine) -> None:
    jindang.config.write_text("colour: red\n")
    for words in (["config", "check"], ["status"], ["list"], ["ingest", "x"], ["catalog", "check"]):
        said = jindang(*words)
        assert (said.code, "line 1, colour" in said.err) == (3, True), words
    assert len(jindang.json("status", code=3)["problems"]) == 3


def test_the_configuration_comes_from_the_environment_or_the_working_folder(
    jindang: CommandLine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from jindang.cli import run

    assert run(["status"]) == 3
    assert "name one with --config FILE or JINDANG_CONFIG" in capsys.readouterr().err
    monkeypatch.setenv("JINDANG_CONFIG", str(jindang.config))
    assert run(["status"]) == 0
    monkeypatch.delenv("JINDANG_CONFIG")
    monkeypatch.chdir(jindang.folder)
    assert run(["status"]) == 0


@pytest.mark.parametrize("words", [["nonsense"], ["ingest"], ["list", "--limit", "0"], ["export", "a"], ["--nix"]])
def test_bad_usage_is_exit_code_2(jindang: CommandLine, words: list[str]) -> None:
    assert jindang(*words).code == 2


def test_common_options_stand_before_or_behind_the_command(jindang: CommandLine) -> None:
    assert json.loads(jindang("--json", "list").out) == json.loads(jindang("list", "--json").out)
    assert jindang("-q", "status").out == jindang("status", "-q").out == ""


# ingest


def test_new_unchanged_new_version_refused(jindang: CommandLine, tmp_path: Path) -> None:
    package = deposit(tmp_path / CODE, page="one", cover="c")
    assert f"new object: {CODE} v1, 2 files, 4 bytes" in jindang("ingest", package).out
    before = listing(jindang.tier)
    assert f"unchanged: {CODE} v1" in jindang("ingest", package).out
    assert listing(jindang.tier) == before
    (package / "page").write_text("ONE")
    assert f"new version: {CODE} v2" in jindang("ingest", package).out
    (package / "page").unlink()
    (package / "page").symlink_to("/etc/passwd")
    said = jindang("ingest", package)
    assert said.code == 1
    assert "refused" in said.err
    assert "link" in said.err
    assert [v["number"] for v in jindang.json("show", CODE)["versions"]] == [1, 2]


def test_the_answer_for_machines_is_one_document(jindang: CommandLine, tmp_path: Path) -> None:
    answer = jindang.json("ingest", deposit(tmp_path / CODE), deposit(tmp_path / "b"), tmp_path / "none", code=1)
    assert answer["counts"] == {"new object": 2, "refused": 1}
    by_name = {Path(plain["package"]).name: plain for plain in answer["packages"]}
    assert by_name[CODE]["id"] == URI
    assert by_name["none"]["error"]["what"] == "This package was refused"
    report = json.loads(Path(answer["report"]).read_text())
    assert [Path(plain["package"]).name for plain in report["packages"]] == ["none"]


def test_a_dry_run_checks_everything_and_writes_nothing(jindang: CommandLine, tmp_path: Path) -> None:
    good, bad = deposit(tmp_path / "good"), tmp_path / "bad"
    write_folder(bad, {**bag({"a": b"1"}), "data/a": b"2"})
    jindang("ingest", deposit(tmp_path / "known"))
    deposit(tmp_path / "known", page="changed")
    before = listing(jindang.folder)
    answer = jindang.json("ingest", "--dry-run", good, bad, tmp_path / "known", code=1)
    said = jindang("ingest", "--dry-run", good, bad, tmp_path / "known")
    assert listing(jindang.folder) == before
    assert answer["counts"] == {"new object": 1, "new version": 1, "refused": 1}
    assert answer["report"] is None
    assert "would be new object: good v1" in said.out
    assert jindang.json("status")["totals"]["objects"] == 1


def test_files_with_odd_names_come_back_as_they_were(jindang: CommandLine, tmp_path: Path) -> None:
    files = {name: name.encode() for name in ODD_NAMES}
    write_folder(tmp_path / "odd", files)
    assert jindang("ingest", tmp_path / "odd").code == 0
    shown = {file["path"] for file in jindang.json("show", "odd", "--files")["files"]}
    assert {f"data/{name}" for name in ODD_NAMES} <= shown
    assert jindang("show", "odd", "--files").code == 0
    assert jindang("export", "odd", tmp_path / "out").code == 0
    assert tree(tmp_path / "out" / "data") == files


@pytest.mark.parametrize("suffix", ["", ".zip", ".tar", ".tar.gz"])
def test_bags_come_as_folders_and_archives(jindang: CommandLine, tmp_path: Path, suffix: str) -> None:
    files = bag({"page": b"one"}, info=f"External-Identifier: {CODE}\nExternal-Description: 规划图\n")
    path = tmp_path / f"any name{suffix}"
    (write_folder if not suffix else write_zip if suffix == ".zip" else write_tar)(path, files)
    assert jindang.json("ingest", path)["packages"][0]["id"] == URI
    assert jindang.json("show", CODE)["metadata"]["title"] == "规划图"
    jindang("export", CODE, tmp_path / "out")
    assert tree(tmp_path / "out" / "data") == {"page": b"one"}
    assert "submission/bag-info.txt" in tree(tmp_path / "out")


def test_a_bag_that_lies_is_refused_and_leaves_nothing(jindang: CommandLine, tmp_path: Path) -> None:
    write_folder(tmp_path / "lies", {**bag({"a": b"1", "b": b"2"}), "data/a": b"3"})
    before = listing(jindang.tier)
    said = jindang("ingest", tmp_path / "lies")
    assert said.code == 1
    assert "data/a" in said.err
    assert listing(jindang.tier) == before
    assert jindang.json("list")["objects"] == []


def test_a_bag_can_be_taken_as_it_is(jindang: CommandLine, tmp_path: Path) -> None:
    files = bag({"a": b"1"})
    write_folder(tmp_path / "as-it-is", files)
    assert jindang("ingest", "--format", "folder", tmp_path / "as-it-is").code == 0
    jindang("export", "as-it-is", tmp_path / "out")
    assert tree(tmp_path / "out" / "data") == files
    assert jindang("ingest", "--format", "bagit", deposit(tmp_path / "no-bag")).code == 1


def test_the_identifier_is_what_is_said_first(jindang: CommandLine, tmp_path: Path) -> None:
    package = tmp_path / "folder-name"
    write_folder(package, bag({"a": b"1"}, info="External-Identifier: from-the-bag\n"))
    (tmp_path / "folder-name.yaml").write_text("identifier: 0017\n")

    def identifier(*words: object) -> str:
        return str(jindang.json("ingest", package, *words)["packages"][0]["id"]).removeprefix("urn:jindang:120000:")

    assert identifier("--id", "from-the-option") == "from-the-option"
    assert identifier() == "0017"
    (tmp_path / "folder-name.yaml").unlink()
    assert identifier() == "from-the-bag"
    assert identifier("--format", "folder") == "folder-name"


def test_one_identifier_is_not_given_to_several_packages(jindang: CommandLine, tmp_path: Path) -> None:
    a, b = deposit(tmp_path / "a"), deposit(tmp_path / "b")
    said = jindang("ingest", "--id", "x", a, b)
    assert (said.code, "One identifier cannot be given to several packages" in said.err) == (2, True)
    (tmp_path / "m.yaml").write_text("identifier: x\n")
    assert jindang("ingest", "--meta", tmp_path / "m.yaml", a, b).code == 2
    assert jindang.json("list")["objects"] == []


def test_a_name_that_cannot_be_an_identifier_is_refused(jindang: CommandLine, tmp_path: Path) -> None:
    said = jindang("ingest", deposit(tmp_path / "a"), "--id", "a\nb")
    assert (said.code, "--id" in said.err) == (1, True)


def test_the_same_package_twice_in_one_run_is_taken_in_once(jindang: CommandLine, tmp_path: Path) -> None:
    package = deposit(tmp_path / "a")
    assert jindang.json("ingest", package, package)["counts"] == {"new object": 1, "unchanged": 1}


def test_the_working_folder_can_be_taken_in(
    jindang: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(deposit(tmp_path / "vol-1"))
    (tmp_path / "vol-1.yaml").write_text("title: 案卷一\n")
    assert jindang("ingest", ".").code == 0
    assert jindang.json("show", "vol-1")["metadata"]["title"] == "案卷一"


# metadata


def test_metadata_comes_from_the_file_beside_the_package(jindang: CommandLine, tmp_path: Path) -> None:
    package = deposit(tmp_path / "vol-1")
    (tmp_path / "vol-1.yaml").write_text(
        "title: 城建规划图\nreference_code: J019-WS·2015\nfonds: 017\nyear: 2015\nretention: 30年\n"
        "security_class: 公开\nopening_status: 开放\nfields: {责任者: 规划局}\n"
    )
    assert jindang("ingest", package).code == 0
    assert jindang.json("show", "vol-1")["metadata"] == {
        "title": "城建规划图",
        "reference_code": "J019-WS·2015",
        "fonds": "017",
        "year": 2015,
        "retention": "30年",
        "security_class": "公开",
        "opening_status": "开放",
        "fields": {"责任者": "规划局"},
    }
    jindang("export", "vol-1", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "metadata" / "object.json").read_text())["title"] == "城建规划图"
    said = jindang("show", "vol-1").out
    assert "题名: 城建规划图" in said
    assert "责任者: 规划局" in said


@pytest.mark.parametrize(
    ("name", "text"), [("m.yaml", "title: T\nyear: 2015\n"), ("m.json", '{"title": "T", "year": 2015}')]
)
def test_meta_names_the_file(jindang: CommandLine, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "vol-1.yaml").write_text("title: not this one\n")
    (tmp_path / name).write_text(text)
    jindang("ingest", deposit(tmp_path / "vol-1"), "--meta", tmp_path / name)
    assert jindang.json("show", "vol-1")["metadata"]["title"] == "T"


def test_a_csv_describes_many_packages(jindang: CommandLine, tmp_path: Path) -> None:
    packages = [deposit(tmp_path / f"vol-{n}") for n in range(3)]
    with (tmp_path / "m.csv").open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(["package", "identifier", "title", "year", "页数"])
        writer.writerows([[f"vol-{n}", f"J019-{n}", f"title {n}", 2015 + n, 100] for n in range(3)])
        writer.writerow(["of-another-day", "J019-9", "", "", ""])
    assert jindang("ingest", "--meta", tmp_path / "m.csv", *packages).code == 0
    found = {item["title"]: (item["id"], item["year"], item["fields"]) for item in jindang.json("list")["objects"]}
    assert found["title 2"] == ("urn:jindang:120000:J019-2", 2017, {"页数": "100"})
    assert len(found) == 3


def test_a_package_without_a_row_is_refused_and_the_others_go_on(jindang: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("package,title\nvol-1,one\n")
    packages = deposit(tmp_path / "vol-1"), deposit(tmp_path / "vol-2")
    answer = jindang.json("ingest", "--meta", tmp_path / "m.csv", *packages, code=1)
    assert answer["counts"] == {"refused": 1, "new object": 1}
    assert answer["packages"][0]["error"]["what"] == "The metadata file has no row for this package"
    assert [item["title"] for item in jindang.json("list")["objects"]] == ["one"]
    (tmp_path / "m.csv").write_text("package,title\nother,one\n")
    assert jindang("ingest", "--meta", tmp_path / "m.csv", *packages).code == 2


def test_the_files_that_describe_packages_are_not_taken_for_packages(jindang: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "deposits"
    deposit(folder / "vol-1")
    deposit(folder / "vol-2")
    (folder / "vol-1.yaml").write_text("title: one\n")
    (folder / "all.csv").write_text("package,title\nvol-1,one\nvol-2,two\n")
    assert jindang.json("ingest", *sorted(folder.glob("vol*")))["counts"] == {"new object": 2}
    answer = jindang.json("ingest", "--meta", folder / "all.csv", *sorted(folder.glob("[av]*[12v]")))
    assert answer["counts"] == {"unchanged": 1, "new version": 1}
    said = jindang("ingest", folder / "vol-1.yaml")  # alone it is a mistake
    assert (said.code, "a single file, not a package" in said.err) == (1, True)


@pytest.mark.parametrize("text", ["title: [", "titel: x\n", "year: soon\n"])
def test_a_bad_file_beside_one_package_stops_none_of_the_others(
    jindang: CommandLine, tmp_path: Path, text: str
) -> None:
    (tmp_path / "vol-1.yaml").write_text(text)
    answer = jindang.json("ingest", deposit(tmp_path / "vol-1"), deposit(tmp_path / "vol-2"), code=1)
    assert answer["counts"] == {"refused": 1, "new object": 1}


def test_new_metadata_alone_make_a_new_version_that_stores_no_payload(jindang: CommandLine, tmp_path: Path) -> None:
    package = deposit(tmp_path / "vol-1", page="x" * 5000)
    jindang("ingest", package)
    (tmp_path / "vol-1.yaml").write_text("opening_status: 开放\n")
    (outcome,) = jindang.json("ingest", package)["packages"]
    assert (outcome["status"], outcome["version"]) == ("new version", 2)
    assert outcome["stored_bytes"] < 1000


@pytest.mark.parametrize("secrecy", ["秘密", "机密", "绝密"])
def test_state_secrets_are_refused_unless_the_configuration_allows_them(
    jindang: CommandLine, tmp_path: Path, secrecy: str
) -> None:
    (tmp_path / "vol-1.yaml").write_text(f"security_class: {secrecy}\n")
    before = {k: v for k, v in tree(jindang.tier).items() if "objects" not in k}
    said = jindang("ingest", deposit(tmp_path / "vol-1"))
    assert said.code == 1
    assert f"Records of security class {secrecy} are not taken in here" in said.err
    assert "ingest.allow_state_secrets" in said.err
    assert tree(jindang.tier) == before
    jindang.config.write_text(
        jindang.config.read_text().replace("workers: 1", "workers: 1, allow_state_secrets: true")
    )
    assert jindang("ingest", tmp_path / "vol-1").code == 0


# list, show, status


@pytest.fixture
def three(jindang: CommandLine, tmp_path: Path) -> CommandLine:
    """Three objects."""
    rows = [
        ("a-1", "J019-WS·2015", "J019", 2015),
        ("a-2", "J019-WS·2016", "J019", 2016),
        ("b-1", "J020", "J020", 2015),
    ]
    with (tmp_path / "m.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("package", "reference_code", "fonds", "year"), *rows])
    packages = [deposit(tmp_path / name, page=name) for name, *_ in rows]
    assert jindang("ingest", "--meta", tmp_path / "m.csv", *packages).code == 0
    return jindang


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "a-1 a-2 b-1"),
        (["a"], "a-1 a-2"),
        (["urn:jindang:120000:a-2"], "a-2"),
        (["--reference", "J019-WS·"], "a-1 a-2"),
        (["--fonds", "J019", "--year", "2016"], "a-2"),
        (["--year", "2015"], "a-1 b-1"),
        (["--year", "1900"], ""),
        (["--limit", "2"], "a-1 a-2"),
        (["--limit", "2", "--after", "a-2"], "b-1"),
    ],
)
def test_lists_are_filtered_and_paged(three: CommandLine, words: list[str], expected: str) -> None:
    answer = three.json("list", *words)
    assert [item["id"].rpartition(":")[2] for item in answer["objects"]] == expected.split()
    assert answer["more"] is ("--limit" in words and "--after" not in words)


def test_a_list_says_how_to_go_on_and_when_there_is_nothing(three: CommandLine) -> None:
    assert "There are more: --after 'a-2'" in three("list", "--limit", "2").out
    assert "No object fits." in three("list", "z").out


def test_an_empty_repository_says_so(jindang: CommandLine) -> None:
    assert "The repository is empty." in jindang("list").out
    assert jindang.json("list") == {"objects": [], "more": False}


def test_show_tells_versions_copies_events_and_files(jindang: CommandLine, tmp_path: Path) -> None:
    package = deposit(tmp_path / CODE, page="one", a__b="two")
    jindang("ingest", package)
    (package / "page").write_text("changed")
    jindang("ingest", package)
    answer = jindang.json("show", URI, "--files")
    assert [(v["number"], v["files"], v["size_bytes"]) for v in answer["versions"]] == [(1, 2, 6), (2, 2, 10)]
    assert [(c["version"], c["tier"], c["state"]) for c in answer["copies"]] == [
        (1, "primary", "stored"),
        (2, "primary", "stored"),
    ]
    assert [(e["type"], e["outcome"], e["version"]) for e in answer["events"]] == [
        ("ingestion", "success", 2),
        ("ingestion", "success", 1),
    ]
    assert {f["path"]: f["size_bytes"] for f in answer["files"] if f["path"].startswith("data/")} == {
        "data/a/b": 3,
        "data/page": 7,
    }
    old = jindang.json("show", CODE, "--version", "1")["files"]
    assert {f["path"]: f["size_bytes"] for f in old}["data/page"] == 3
    assert "files" not in jindang.json("show", CODE)
    assert (jindang.tier / answer["object_path"] / "inventory.json").is_file()
    assert jindang("show", CODE, "--version", "3").code == 2


def test_an_object_that_is_not_there_is_told(jindang: CommandLine, tmp_path: Path) -> None:
    for words in (["show", "none"], ["export", "none", tmp_path / "out"]):
        said = jindang(*words)
        assert (said.code, "There is no such object: none" in said.err) == (1, True)
        assert "jindang list" in said.err


def test_status_counts_what_there_is(three: CommandLine) -> None:
    answer = three.json("status")
    assert answer["totals"]["objects"] == answer["totals"]["versions"] == 3
    (tier,) = answer["tiers"]
    assert (tier["copies_wanted"], tier["copies_held"], tier["copies_verified"]) == (3, 3, 0)
    assert tier["problem"] is None
    assert "3 objects, 3 versions, 3 files, 9 bytes" in three("status").out


def test_a_tier_that_is_not_there_is_exit_code_4_and_one_clear_message(three: CommandLine, tmp_path: Path) -> None:
    three.tier.rename(three.folder / "away")
    said = three("status")
    assert said.code == 4
    assert "NOT AVAILABLE" in said.out
    assert f"The tier 'primary' is not there: {three.tier} (there is no such folder)" in said.err
    assert "mount the disk" in said.err
    assert "3 objects" in said.out  # what the catalogue knows is still told
    for words in (["ingest", deposit(tmp_path / "d")], ["export", "a-1", tmp_path / "out"], ["catalog", "check"]):
        answer = three.json(*words, code=4)
        assert answer["error"] == "TierUnavailableError", words
    assert three("list").code == three("show", "a-1").code == 0
    assert not three.tier.exists()


def test_another_tier_in_the_same_place_is_recognised(
    three: CommandLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = CommandLine(tmp_path / "other", capsys).ready()
    three.tier.rename(three.folder / "away")
    shutil.copytree(other.tier, three.tier)
    before = listing(three.tier)
    for words in (["status"], ["ingest", deposit(tmp_path / "d")], ["catalog", "check"], ["catalog", "rebuild"]):
        said = three(*words)
        assert (said.code, "This is not the tier 'primary'" in said.err) == (4, True), words
        assert "mount the right disk" in said.err
    assert listing(three.tier) == before


def test_the_doctor_is_content_or_names_what_is_wrong(jindang: CommandLine) -> None:
    assert jindang.json("doctor")["healthy"] is True
    jindang.tier.rename(jindang.folder / "away")
    assert jindang.json("doctor", code=4)["healthy"] is False
    said = jindang("doctor")
    assert said.out.count("The tier 'primary' is not there") == 1
    assert "-> mount the disk" in said.out


# export


def test_an_export_is_a_folder_or_a_bag_and_never_overwrites(jindang: CommandLine, tmp_path: Path) -> None:
    package = deposit(tmp_path / CODE, page="one", a__b="two")
    jindang("ingest", package)
    answer = jindang.json("export", CODE, tmp_path / "out")
    assert (answer["id"], answer["files"], answer["verified_with"]) == (URI, 2, "sha512")
    assert tree(tmp_path / "out" / "data") == tree(package)
    before = listing(tmp_path / "out")
    said = jindang("export", CODE, tmp_path / "out")
    assert (said.code, "The destination exists already" in said.err) == (2, True)
    assert listing(tmp_path / "out") == before
    assert jindang("export", CODE, tmp_path / "bag", "--as", "bagit").code == 0
    assert jindang.json("bag", "validate", tmp_path / "bag")["valid"] is True


def test_an_older_version_is_exported_as_it_was(jindang: CommandLine, tmp_path: Path) -> None:
    package = deposit(tmp_path / "v", page="one", old="old")
    jindang("ingest", package)
    (package / "old").unlink()
    jindang("ingest", package)
    jindang("export", "v", tmp_path / "v1", "--version", "1")
    assert tree(tmp_path / "v1" / "data") == {"page": b"one", "old": b"old"}
    assert jindang("export", "v", tmp_path / "v3", "--version", "3").code == 2


def test_nothing_is_exported_into_a_tier(three: CommandLine) -> None:
    before = listing(three.tier)
    said = three("export", "a-1", three.tier / "out")
    assert (said.code, "lies inside a tier" in said.err) == (2, True)
    assert listing(three.tier) == before


def test_a_damaged_file_is_exit_code_5_and_nothing_is_left(three: CommandLine, tmp_path: Path) -> None:
    (content,) = three.tier.glob("*/*/*/*a-1/v1/content/data/page")
    content.chmod(0o644)
    content.write_bytes(b"A-1")
    exports = tmp_path / "exports"
    exports.mkdir()
    answer = three.json("export", "a-1", exports / "out", code=5)
    assert answer["error"] == "IntegrityError"
    assert answer["where"] == str(content)
    assert answer["next_step"]
    assert list(exports.iterdir()) == []
    assert three("export", "a-2", exports / "out").code == 0


def test_a_damaged_object_gets_no_new_version_and_that_is_exit_code_5(three: CommandLine, tmp_path: Path) -> None:
    (inventory,) = three.tier.glob("*/*/*/*a-1/inventory.json")
    inventory.chmod(0o644)
    inventory.write_bytes(inventory.read_bytes().replace(b"sha512", b"sha51x"))
    answer = three.json("ingest", deposit(tmp_path / "a-1", page="new"), deposit(tmp_path / "c-1"), code=5)
    assert answer["counts"] == {"failed": 1, "new object": 1}


# validate


def test_what_was_taken_in_is_a_valid_storage_root(three: CommandLine) -> None:
    answer = three.json("ocfl", "validate", three.tier)
    assert answer == {"valid": True, "objects": 3, "findings": []}
    (content,) = three.tier.glob("*/*/*/*a-1/v1/content/data/page")
    content.unlink()
    answer = three.json("ocfl", "validate", three.tier, code=1)
    assert answer["valid"] is False
    assert {finding["code"][0] for finding in answer["findings"]} == {"E"}


def test_bags_are_validated_without_a_repository(jindang: CommandLine, tmp_path: Path) -> None:
    jindang.config.unlink()
    write_folder(tmp_path / "good", bag())
    write_folder(tmp_path / "bad", {**bag(), "data/page-0001.txt": b"other"})
    assert jindang.json("bag", "validate", tmp_path / "good")["valid"] is True
    assert jindang.json("bag", "validate", tmp_path / "bad", code=1)["valid"] is False
    assert "NOT valid" in jindang("bag", "validate", tmp_path / "bad").out
