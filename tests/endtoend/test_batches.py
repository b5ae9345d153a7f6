"""Many packages in one run: each has its own fate, and they never share state."""

from pathlib import Path

import pytest

from jindang.cli import ingest
from tests.doubles.packages_builder import bag, write_folder
from tests.fixtures.command_line import CommandLine, deposit, tree

MANY = 60


def similar_package(folder: Path, number: int) -> Path:
    """The same file names in every package, and never the same content."""
    payload = {f"page-{page:04}.txt": f"package {number} page {page}\n".encode() * 50 for page in range(6)}
    payload["annex/cover.txt"] = b"the same in all of them\n"
    payload["number.txt"] = str(number).encode()
    info = f"External-Identifier: vol-{number:03}\nExternal-Description: title {number}\nContact-Name: {number}\n"
    return write_folder(folder / f"deposit-{number}", bag(payload, info=info))


def test_similar_packages_in_one_run_never_share_state(jindang: CommandLine, tmp_path: Path) -> None:
    """Row A24: many similar packages at once; each object is its own deposit, to the last byte."""
    packages = [similar_package(tmp_path / "deposits", number) for number in range(MANY)]
    for number, package in enumerate(packages):
        package.with_name(f"{package.name}.yaml").write_text(f"year: {1900 + number}\nfields: {{n: {number}}}\n")
    answer = jindang.json("ingest", "--workers", 4, *packages)
    assert answer["counts"] == {"new object": MANY}
    for number, package in enumerate(packages):
        name = f"vol-{number:03}"
        out = tmp_path / "out" / name
        out.parent.mkdir(exist_ok=True)
        assert jindang("export", name, out).code == 0
        exported, deposited = tree(out), tree(package)
        assert tree(out / "data") == tree(package / "data")
        assert exported["submission/bag-info.txt"] == deposited["bag-info.txt"]
        assert exported["submission/manifest-sha512.txt"] == deposited["manifest-sha512.txt"]
        shown = jindang.json("show", name)
        assert shown["metadata"]["title"] == f"title {number}"
        assert shown["metadata"]["year"] == 1900 + number
        assert shown["metadata"]["fields"] == {"n": str(number)}
        assert len(shown["versions"]) == len(shown["events"]) == 1
    assert jindang.json("status")["totals"]["files"] == MANY * 8
    assert jindang.json("catalog", "check")["agree"] is True
    assert jindang.json("ocfl", "validate", jindang.tier) == {"valid": True, "objects": MANY, "findings": []}


@pytest.mark.parametrize("workers", [1, 4])
def test_several_packages_of_one_object_in_one_run_become_its_versions(
    jindang: CommandLine, tmp_path: Path, workers: int
) -> None:
    """Row A24: packages with the same identifier at the same time; every one becomes a version of its own."""
    packages = []
    for number in range(5):
        files = bag({"page": f"state {number}".encode()}, info="External-Identifier: the-same\n")
        packages.append(write_folder(tmp_path / f"p{number}", files))
    answer = jindang.json("ingest", "--workers", workers, *packages)
    assert answer["counts"] == {"new object": 1, "new version": 4}
    by_version = {plain["version"]: Path(plain["package"]) for plain in answer["packages"]}
    assert sorted(by_version) == [1, 2, 3, 4, 5]
    for number, package in by_version.items():
        assert jindang("export", "the-same", tmp_path / f"v{number}", "--version", number).code == 0
        assert tree(tmp_path / f"v{number}" / "data") == tree(package / "data")
    assert jindang.json("ocfl", "validate", jindang.tier)["valid"] is True
    assert jindang.json("catalog", "check")["agree"] is True


@pytest.mark.parametrize("content", ["one page", ""], ids=["one file", "one empty file"])
@pytest.mark.parametrize("form", ["folder", "bagit"])
def test_an_object_of_one_file_goes_in_and_comes_out(
    jindang: CommandLine, tmp_path: Path, content: str, form: str
) -> None:
    """Row A4: an object of one file, and one of an empty file, are taken in and come back completely."""
    package = deposit(tmp_path / "vol-1", only=content)
    assert jindang.json("ingest", package)["packages"][0]["files"] == 1
    assert jindang("export", "vol-1", tmp_path / "out", "--as", form).code == 0
    assert tree(tmp_path / "out" / "data") == tree(package) == {"only": content.encode()}


@pytest.mark.parametrize("workers", [1, 3])
def test_one_failure_in_a_batch_fails_the_run_and_stops_none_of_the_others(
    jindang: CommandLine, tmp_path: Path, workers: int
) -> None:
    """Row A7: a failure nested anywhere fails the parent."""
    packages = [deposit(tmp_path / f"vol-{number}", page=str(number)) for number in range(12)]
    write_folder(tmp_path / "bad", {**bag({"a": b"1"}), "data/a": b"2"})
    packages.insert(6, tmp_path / "bad")
    answer = jindang.json("ingest", "--workers", workers, *packages, code=1)
    assert answer["counts"] == {"new object": 12, "refused": 1}
    (refused,) = [plain for plain in answer["packages"] if "error" in plain]
    assert Path(refused["package"]).name == "bad"
    assert "data/a" in str(refused["error"])
    assert jindang.json("status")["totals"]["objects"] == 12
    assert jindang("ingest", *packages).code == 1  # and again, as long as it is there


def test_the_exit_code_is_the_worst_of_all_packages() -> None:
    """Row A7: the flag that the test above relies on; an ignored failure turns this red."""

    def plain(status: str, code: int) -> dict[str, object]:
        return {"status": status, "exit_code": code}

    assert ingest._exit_code([]) == 0
    assert ingest._exit_code([plain("refused", 1), plain("refused", 2)]) == 1
    assert ingest._exit_code([plain("refused", 1), plain("failed", 4)]) == 4
    assert ingest._exit_code([plain("failed", 4), plain("failed", 5), plain("refused", 1)]) == 5
    assert ingest._exit_code([plain("failed", 1)]) == 1


def test_a_report_that_cannot_be_written_does_not_take_the_summarys_place(
    jindang: CommandLine, tmp_path: Path
) -> None:
    (jindang.data / "reports").write_text("a file where the folder of reports should be")
    said = jindang("ingest", deposit(tmp_path / "good"), tmp_path / "none")
    assert said.code == 1
    assert "could not be written" in said.err
    assert "new object: 1" in said.out
