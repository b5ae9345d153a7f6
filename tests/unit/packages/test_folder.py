"""Folder packages: listed once, read only while they are what was listed, hostile things refused."""

import os
import socket
import threading
from pathlib import Path

import pytest

from repository.errors import OperationCancelledError, PackageError
from repository.packages.opening import Format, open_package
from repository.packages.package import Limits, Package, PackageFile, PackageFormat
from repository.stop import StopToken
from tests.doubles.packages_builder import ODD_NAMES, REFERENCE_CODE, bag, write_folder


def opened(path: Path, limits: Limits | None = None, form: Format = "auto") -> Package:
    return open_package(path, format=form, limits=limits or Limits(), stop=StopToken())


def problems(path: Path, limits: Limits | None = None, form: Format = "auto") -> tuple[str, ...]:
    with pytest.raises(PackageError) as caught:
        opened(path, limits, form)
    assert caught.value.problems
    assert caught.value.next_step
    return caught.value.problems


def test_a_folder_is_listed_and_read(tmp_path: Path) -> None:
    root = write_folder(tmp_path / REFERENCE_CODE, {"b.txt": b"2", "a/c.txt": b"333"})
    with opened(root) as package:
        assert package.format is PackageFormat.FOLDER
        assert package.name == REFERENCE_CODE
        assert package.files == (PackageFileLike("a/c.txt", 3), PackageFileLike("b.txt", 1))
        assert [package.logical_path(file) for file in package.files] == ["data/a/c.txt", "data/b.txt"]
        assert {file.path: stream.read() for file, stream in package.contents()} == {"a/c.txt": b"333", "b.txt": b"2"}
        assert package.random_access
        assert package.algorithms_for(package.files[0]) == ()
        assert package.tags == {}
        report = package.check({})
    assert (report.files, report.size_bytes, report.warnings) == (2, 4, ())


class PackageFileLike:
    """Equal to a file of this path and size, whatever else is known of it."""

    def __init__(self, path: str, size_bytes: int) -> None:
        self.path, self.size_bytes = path, size_bytes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PackageFile) and (other.path, other.size_bytes) == (self.path, self.size_bytes)

    __hash__ = None  # type: ignore[assignment]


def test_odd_but_lawful_names_work(tmp_path: Path) -> None:
    content = {name: name.encode() for name in ODD_NAMES}
    package = opened(write_folder(tmp_path / "p", content))
    assert {file.path: stream.read() for file, stream in package.contents()} == content


def test_the_same_folder_gives_the_same_report(tmp_path: Path) -> None:
    first = opened(write_folder(tmp_path / "1", {"a": b"1", "b": b"2"})).check({})
    second = opened(write_folder(tmp_path / "2", {"b": b"2", "a": b"1"})).check({})
    assert first == second


def test_a_folder_with_bagit_txt_is_a_bag_unless_told_otherwise(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "bag", bag())
    assert opened(root).format is PackageFormat.BAGIT
    package = opened(root, form="folder")
    assert package.format is PackageFormat.FOLDER
    assert {package.logical_path(file) for file in package.files} >= {"data/bagit.txt", "data/data/page-0001.txt"}
    assert "no bagit.txt" in problems(write_folder(tmp_path / "no", {"a": b"1"}), form="bagit")[0]


def test_empty_packages_and_folders(tmp_path: Path) -> None:
    (tmp_path / "p" / "empty" / "deep").mkdir(parents=True)
    assert "empty" in problems(tmp_path / "p")[0]
    (tmp_path / "p" / "a").write_bytes(b"")
    (warning,) = opened(tmp_path / "p").check({}).warnings
    assert "empty/deep" in warning


def test_names_that_are_not_utf8_are_refused_with_a_remedy(tmp_path: Path) -> None:
    root = tmp_path / "p"
    root.mkdir()
    Path(os.fsdecode(os.fsencode(root) + b"/\xb5\xb5\xb0\xb8.txt")).write_bytes(b"x")
    (problem,) = problems(root)
    assert "convmv" in problem
    assert "\\xb5\\xb5\\xb0\\xb8" in problem


def test_special_files_are_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "p", {"a": b"1"})
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(root / "socket"))
        found = problems(root)
    assert len(found) == 2
    assert "fifo" in found[0]
    assert "socket" in found[1]


def test_links_inside_are_copies_and_links_outside_are_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "p", {"a/page.txt": b"page", "b.txt": b"b"})
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "link.txt").symlink_to("a/page.txt")
    (root / "absolute.txt").symlink_to(root / "b.txt")
    (root / "chain.txt").symlink_to("link.txt")
    package = opened(root)
    read = {file.path: stream.read() for file, stream in package.contents()}
    assert read["link.txt"] == read["chain.txt"] == b"page"
    assert read["absolute.txt"] == b"b"
    assert len(package.check({}).warnings) == 3

    (root / "out.txt").symlink_to("../secret")
    (root / "abs-out.txt").symlink_to("/etc/passwd")
    (root / "nowhere.txt").symlink_to("missing")
    (root / "loop1").symlink_to("loop2")
    (root / "loop2").symlink_to("loop1")
    (root / "folder").symlink_to("a")
    (root / "up").symlink_to("..")
    found = problems(root)
    assert len(found) == 7
    assert sum("leads out" in problem for problem in found) == 3
    assert sum("circle" in problem for problem in found) == 2


def test_a_hard_link_to_the_outside_is_told(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "p", {"a": b"1", "b": b"2"})
    os.link(root / "a", root / "inside")
    assert opened(root).check({}).warnings == ()
    os.link(root / "b", tmp_path / "outside")
    (warning,) = opened(root).check({}).warnings
    assert "hard link" in warning


def test_collisions_are_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "p", {"Page.txt": b"1", "page.txt": b"2", "N\u00fa": b"3", "Nu\u0301": b"4"})
    assert len(problems(root)) == 2


@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (Limits(max_files=3), "more than 3 files"),
        (Limits(max_bytes=3), "more than 3 bytes"),
        (Limits(max_depth=2), "deep"),
        (Limits(max_path_bytes=4), "bytes long"),
        (Limits(max_name_bytes=1), "bytes long"),
    ],
)
def test_limits(tmp_path: Path, limits: Limits, word: str) -> None:
    root = write_folder(tmp_path / "p", {"a/b/c": b"1", "d/e": b"22", "name": b"3", "x": b"4"})
    assert any(word in problem for problem in problems(root, limits))


def test_folders_are_counted_too(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "p", {"a": b"1"})
    for n in range(5):
        (root / f"empty{n}").mkdir()
    assert "more than 4 folders" in problems(root, Limits(max_files=4))[0]
    assert "more than 2 entries" in problems(root, Limits(max_files=1))[0]


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "p", {"a": b"1" * 10, "b": b"2", "c": b"3", "d": b"4", "e": b"5"})
    package = opened(root)
    a, b, c, d, e = package.files
    with package.open(a) as stream, (root / "a").open("ab") as other:
        assert stream.read(5)
        other.write(b"more")
        other.flush()
        with pytest.raises(PackageError, match="changed while being read"):
            stream.read()
    (root / "b").write_bytes(b"22")
    with pytest.raises(PackageError, match="changed while being read"):
        package.open(b)
    (root / "c").unlink()
    with pytest.raises(PackageError, match="cannot be read"):
        package.open(c)
    (root / "d").unlink()
    (root / "d").symlink_to("/etc/passwd")
    with pytest.raises(PackageError, match="cannot be read"):
        package.open(d)
    (root / "e").unlink()
    os.mkfifo(root / "e")
    with pytest.raises(PackageError, match="changed while being read"):
        package.open(e)


def test_a_folder_replaced_by_a_link_is_noticed(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "p", {"a/page": b"1"})
    package = opened(root)
    write_folder(tmp_path / "other", {"page": b"1"})
    (root / "a").rename(tmp_path / "away")
    (root / "a").symlink_to(tmp_path / "other")
    with pytest.raises(PackageError, match="changed while being read"):
        package.open(package.files[0])


def test_readinto_reads_all_and_then_nothing(tmp_path: Path) -> None:
    package = opened(write_folder(tmp_path / "p", {"a": b"1" * 10}))
    buffer = bytearray(7)
    with package.open(package.files[0]) as stream:
        sizes = [stream.readinto(buffer) for _ in range(3)]  # type: ignore[attr-defined]
    assert sizes == [7, 3, 0]


def test_threads_may_open_at_the_same_time(tmp_path: Path) -> None:
    package = opened(write_folder(tmp_path / "p", {str(n): str(n).encode() * 1000 for n in range(50)}))
    wrong = []

    def work() -> None:
        for file in package.files:
            with package.open(file) as stream:
                if stream.read() != file.path.encode() * 1000:
                    wrong.append(file)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_stopping(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "p", {"a": b"1"})
    stop = StopToken()
    package = open_package(root, format="auto", limits=Limits(), stop=stop)
    stop.set()
    with pytest.raises(OperationCancelledError):
        list(package.contents())
    with pytest.raises(OperationCancelledError):
        open_package(root, format="auto", limits=Limits(), stop=stop)


@pytest.mark.parametrize(
    ("name", "word"),
    [("a.pdf", "folder of its own"), ("a.rar", "unpack"), ("a.tar.xz", "unpack"), ("missing", "nothing at this path")],
)
def test_what_is_no_package_gets_a_next_step(tmp_path: Path, name: str, word: str) -> None:
    if name != "missing":
        (tmp_path / name).write_bytes(b"x")
    assert word in problems(tmp_path / name)[0]


def test_an_archive_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    assert "unpack it" in problems(tmp_path / "a.zip", form="folder")[0]
