"""Bags as packages: what ingest sees of them, and what it refuses that `bag validate` only warns of."""

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from repository.errors import OperationCancelledError, PackageError
from repository.hashing import MultiHasher
from repository.packages.bag import BagPackage
from repository.packages.bag_validation import validate_bag
from repository.packages.opening import open_package
from repository.packages.package import Limits, Package, PackageFormat
from repository.stop import StopToken
from tests.doubles.bag_cases import CASES, INVALID, NFC, NFD
from tests.doubles.packages_builder import (
    ARCHIVES,
    PAYLOAD,
    REFERENCE_CODE,
    Files,
    bag,
    names_on_disk,
    write_folder,
    write_tar,
    write_zip,
)

REFUSED_BY_INGEST_ONLY = {
    "v0.97/warning/duplicate-file-with-different-case",
    "v0.97/warning/same-filename-listed-twice-with-different-normalization",
    "v0.97/warning/same-filename-listed-twice-one-file-on-disk",
}


def opened(path: Path, limits: Limits | None = None) -> Package:
    return open_package(path, format="auto", limits=limits or Limits(), stop=StopToken())


def problems(path: Path, limits: Limits | None = None) -> tuple[str, ...]:
    with pytest.raises(PackageError) as caught:
        opened(path, limits)
    return caught.value.problems


def digests(package: Package) -> dict[str, dict[str, str]]:
    found = {}
    for file, stream in package.contents():
        hasher = MultiHasher(package.algorithms_for(file))
        hasher.update(stream.read())
        found[file.path] = hasher.digests()
    return found


@pytest.mark.parametrize("kind", ["folder", *ARCHIVES])
def test_a_bag_as_ingest_sees_it(tmp_path: Path, kind: str) -> None:
    files = bag(algorithms=("sha512", "sha256"), info="Title: 案卷\nNote: one\nNote: two\n  lines\n")
    path = tmp_path / (REFERENCE_CODE if kind == "folder" else f"{REFERENCE_CODE}.{kind}")
    (write_folder if kind == "folder" else ARCHIVES[kind])(path, files)
    with opened(path) as package:
        assert package.format is PackageFormat.BAGIT
        assert package.name == REFERENCE_CODE
        assert package.source == path
        assert {"sha512", "sha256"} in [set(package.algorithms_for(file)) for file in package.files]
        assert package.tags == {"Title": ("案卷",), "Note": ("one", "two lines")}
        assert {package.logical_path(file) for file in package.files} == {
            name if name.startswith("data/") else f"submission/{name}" for name in files
        }
        report = package.check(digests(package))
    assert report.verified_algorithms == ("sha256", "sha512")
    assert report.files == len(files)
    assert report.size_bytes == sum(map(len, files.values()))


def test_each_file_needs_only_the_digests_that_are_asked_of_it(tmp_path: Path) -> None:
    files = bag(algorithms=("sha512",), tag_manifests=False)
    files["tagmanifest-md5.txt"] = b"".join(
        f"{_md5(content)}  {name}\n".encode() for name, content in files.items() if not name.startswith("data/")
    )
    package = opened(write_folder(tmp_path / "bag", files))
    assert isinstance(package, BagPackage)
    needed = {file.path: package.algorithms_for(file) for file in package.files}
    assert needed["data/page-0001.txt"] == ("sha512",)
    assert needed["bagit.txt"] == ("md5",)
    assert needed["tagmanifest-md5.txt"] == ()


def _md5(content: bytes) -> str:
    hasher = MultiHasher(["md5"])
    hasher.update(content)
    return hasher.digests()["md5"]


def test_check_lists_every_disagreement(tmp_path: Path) -> None:
    package = opened(write_folder(tmp_path / "bag", bag()))
    found = digests(package)
    found["data/page-0001.txt"]["sha512"] = "00" * 64
    del found["data/annex/page-0002.txt"]
    found["bag-info.txt"] = {}
    with pytest.raises(PackageError) as caught:
        package.check(found)
    assert len(caught.value.problems) == 3
    assert any("was not read" in problem for problem in caught.value.problems)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_ingest_and_validation_share_their_verdict(case: object, tmp_path: Path) -> None:
    assert isinstance(case, type(CASES[0]))
    path = write_folder(tmp_path / "bag", case.build())
    refused = False
    try:
        with open_package(path, format="bagit", limits=Limits(), stop=StopToken()) as package:
            package.check(digests(package))
    except PackageError:
        refused = True
    assert refused is (case.verdict == INVALID or case.name in REFUSED_BY_INGEST_ONLY)


@pytest.mark.parametrize("kind", ["folder", *ARCHIVES])
def test_collisions_are_one_policy(tmp_path: Path, kind: str) -> None:
    files = bag({"A": b"1", "a": b"2", NFC: b"3", NFD: b"4"})
    path = tmp_path / f"bag.{kind}"
    (write_folder if kind == "folder" else ARCHIVES[kind])(path, files)
    refused = problems(path)
    report = validate_bag(path, limits=Limits(), stop=StopToken())
    assert report.valid
    assert len(refused) == 2
    assert set(refused) <= set(report.warnings)


def test_a_bag_without_payload_is_valid_but_not_ingested(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "bag", bag({}))
    (root / "data").mkdir()
    report = validate_bag(root, limits=Limits(), stop=StopToken())
    assert report.valid
    assert "no payload" in " ".join(report.warnings)
    assert "no payload" in problems(root)[0]


def test_nothing_is_written_anywhere(tmp_path: Path) -> None:
    for kind, write in ARCHIVES.items():
        write(tmp_path / f"bag.{kind}", bag())
    before = names_on_disk(tmp_path)
    for name in before:
        with opened(tmp_path / name) as package:
            digests(package)
        assert validate_bag(tmp_path / name, limits=Limits(), stop=StopToken()).valid
    assert names_on_disk(tmp_path) == before


def test_tag_files_are_bounded(tmp_path: Path) -> None:
    files = bag()
    for kind, write in {**ARCHIVES, "folder": write_folder}.items():
        path = write(tmp_path / f"bag.{kind}", files)
        assert any("larger than 100 bytes" in problem for problem in problems(path, Limits(max_tag_bytes=100)))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_validation_finds_all_problems_with_any_number_of_workers(tmp_path: Path, workers: int) -> None:
    files = bag({f"{n:03}": str(n).encode() for n in range(100)})
    for n in range(0, 100, 7):
        files[f"data/{n:03}"] = b"xx"[: len(files[f"data/{n:03}"])]
    root = write_folder(tmp_path / "bag", files)
    report = validate_bag(root, limits=Limits(), stop=StopToken(), workers=workers)
    assert not report.valid
    assert len(report.errors) == 15
    assert report == validate_bag(root, limits=Limits(), stop=StopToken(), workers=2)


def test_validation_reports_what_cannot_be_read(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "bag.zip", bag(), method=zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[content.index(b"second page")] ^= 1
    path.write_bytes(content)
    report = validate_bag(path, limits=Limits(), stop=StopToken())
    assert not report.valid
    assert any("CRC" in error for error in report.errors)


@pytest.mark.parametrize(
    "make",
    [
        Path.exists,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\x03\x04 but no more"),
        lambda path: path.write_bytes(b"\x1f\x8b but no more"),
        os.mkfifo,
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.mkdir(),
    ],
)
def test_validation_never_raises(tmp_path: Path, make: Callable[[Path], object]) -> None:
    for suffix in ("zip", "tar", "tar.gz", "txt"):
        path = tmp_path / f"thing.{suffix}"
        make(path)
        report = validate_bag(path, limits=Limits(), stop=StopToken())
        assert not report.valid
        assert report.errors


def test_validation_stops_when_asked(tmp_path: Path) -> None:
    stop = StopToken()
    stop.set()
    for path in (write_folder(tmp_path / "bag", bag()), write_tar(tmp_path / "bag.tar.gz", bag())):
        with pytest.raises(OperationCancelledError):
            validate_bag(path, limits=Limits(), stop=stop)


def test_a_profile_is_not_fetched(tmp_path: Path) -> None:
    info = "BagIt-Profile-Identifier: http://127.0.0.1:1/profile.json\n"
    assert validate_bag(write_folder(tmp_path / "bag", bag(info=info)), limits=Limits(), stop=StopToken()).valid


def test_links_that_leave_a_bag_make_it_invalid(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "bag", bag(info=""))
    (root / "data/page-0001.txt").unlink()
    (tmp_path / "page").write_bytes(PAYLOAD["page-0001.txt"])
    (root / "data/page-0001.txt").symlink_to("../../page")
    report = validate_bag(root, limits=Limits(), stop=StopToken())
    assert any("leads out" in error for error in report.errors)


def test_a_data_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "bag", bag())
    (root / "data").rename(tmp_path / "elsewhere")
    (root / "data").symlink_to("../elsewhere")
    assert any("symbolic link" in problem for problem in problems(root))


def _long_lines(files: Files, name: str, content: bytes) -> Files:
    return {**files, name: content}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest-sha512.txt", b"ab" + b" " * 1_000_000),
        ("manifest-sha512.txt", b" " * 1_000_000 + b"a"),
        ("fetch.txt", b"x " * 500_000),
        ("fetch.txt", b"x" + b" " * 1_000_000),
        ("bag-info.txt", b"A: b\n" + b" c\n" * 300_000),
        ("bag-info.txt", b" " * 1_000_000),
        ("bagit.txt", b" " * 1_000_000),
        ("bagit.txt", b"\n" * 1_000_000),
    ],
)
@pytest.mark.timeout(20)
def test_long_lines_take_no_longer_than_they_are(tmp_path: Path, name: str, content: bytes) -> None:
    root = write_folder(tmp_path / "bag", _long_lines(bag(tag_manifests=False), name, content))
    validate_bag(root, limits=Limits(), stop=StopToken())


def test_what_holds_for_every_file_is_told_five_times(tmp_path: Path) -> None:
    files = bag({f"{n:03}": b"" for n in range(100)}, version="0.97", prefix="./", tag_manifests=False)
    report = validate_bag(write_folder(tmp_path / "bag", files), limits=Limits(), stop=StopToken())
    assert report.valid
    assert len(report.warnings) == 6
    assert report.warnings[-1] == "and 95 more: paths with dots in them"
