"""Bags in ZIP archives, made by others, by mistake and by malice."""

import io
import stat
import zipfile
import zlib
from pathlib import Path

import pytest

from repository.errors import PackageError
from repository.packages.opening import open_package
from repository.packages.package import Limits, Package
from repository.stop import StopToken
from tests.doubles.packages_builder import ODD_NAMES, RawEntry, bag, raw_entries, raw_zip, write_zip

GBK = "档案.txt".encode("gbk")
LINK = stat.S_IFLNK | 0o777


def opened(path: Path, limits: Limits | None = None) -> Package:
    return open_package(path, format="auto", limits=limits or Limits(), stop=StopToken())


def problems(path: Path, limits: Limits | None = None) -> tuple[str, ...]:
    with pytest.raises(PackageError) as caught:
        opened(path, limits)
    assert caught.value.problems
    return caught.value.problems


def written(tmp_path: Path, *extra: RawEntry, files: dict[str, bytes] | None = None) -> Path:
    path = tmp_path / "bag.zip"
    path.write_bytes(raw_zip([*raw_entries(bag() if files is None else files), *extra]))
    return path


def read_all(package: Package) -> dict[str, bytes]:
    return {file.path: stream.read() for file, stream in package.contents()}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zipped_bag_is_read(tmp_path: Path, method: int) -> None:
    files = bag({name: name.encode() * 50 for name in ODD_NAMES if "\\" not in name})
    with opened(write_zip(tmp_path / "案卷.zip", files, method=method)) as package:
        assert package.name == "案卷"
        assert package.random_access
        assert read_all(package) == files
        with package.open(package.files[-1]) as stream:
            assert stream.read(3) == files[package.files[-1].path][:3]


def test_a_streamed_archive_is_read(tmp_path: Path) -> None:
    """As Java writes it: sizes and checksums behind the content."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            super().__init__()
            self.content = b""

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.content += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("bag/data/empty")
        for name, content in bag().items():
            with archive.open(f"bag/{name}", "w", force_zip64=True) as target:
                target.write(content)
    (tmp_path / "bag.zip").write_bytes(pipe.content)
    with opened(tmp_path / "bag.zip") as package:
        assert read_all(package) == bag()


def test_raw_bytes_without_the_flag_that_are_utf8_are_taken(tmp_path: Path) -> None:
    files = bag({"档案.txt": b"x"})
    assert read_all(opened(written(tmp_path, files=files))) == files


def test_names_in_gbk_are_refused_with_a_remedy(tmp_path: Path) -> None:
    (problem,) = problems(written(tmp_path, RawEntry(b"bag/data/" + GBK, b"x")))
    assert "档案.txt" in problem
    assert "GB18030" in problem
    assert "7-Zip" in problem


def test_the_unicode_path_beside_a_name_in_gbk_is_taken(tmp_path: Path) -> None:
    files = bag({"档案.txt": b"x"})
    raw = b"bag/data/" + GBK
    field = b"\x01" + zlib.crc32(raw).to_bytes(4, "little") + "bag/data/档案.txt".encode()
    extra = (0x7075).to_bytes(2, "little") + len(field).to_bytes(2, "little") + field
    rest = {name: content for name, content in files.items() if name != "data/档案.txt"}
    assert read_all(opened(written(tmp_path, RawEntry(raw, b"x", extra=extra), files=rest))) == files


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        (RawEntry(b"../evil", b"x"), "dangerous"),
        (RawEntry(b"/etc/evil", b"x"), "dangerous"),
        (RawEntry(b"bag/data/../../../evil", b"x"), "dangerous"),
        (RawEntry(b"bag\\..\\..\\evil", b"x"), "dangerous"),
        (RawEntry(b"C:\\evil", b"x"), "dangerous"),
        (RawEntry(b"bag/data/%2e%2e/%2e%2e/evil", b"x"), "dangerous"),
        (RawEntry(b"bag/data/a\0b", b"x"), "NUL"),
        (RawEntry(b"bag\\data\\x", b"x"), "backslash"),
        (RawEntry(b"bag//data/x", b"x"), "cannot be taken"),
        (RawEntry(b"other/file", b"x"), "beside the bag"),
        (RawEntry(b"bag/data/link", b"../../etc/passwd", mode=LINK), "leads out"),
        (RawEntry(b"bag/data/link", b"/etc/passwd", mode=LINK), "leads out"),
        (RawEntry(b"bag/data/link", b"link", mode=LINK), "circle"),
        (RawEntry(b"bag/data/fifo", b"", mode=stat.S_IFIFO | 0o644), "device, fifo or socket"),
        (RawEntry(b"bag/data/null", b"", mode=stat.S_IFCHR | 0o644), "device, fifo or socket"),
        (RawEntry(b"bag/data/secret", b"x" * 20, flags=1), "encrypted"),
        (RawEntry(b"bag/data/deflate64", b"x", method=9), "Deflate64"),
        (RawEntry(b"bag/data/page-0001.txt", b"x"), "is there twice"),
        (RawEntry(b"bag/data/PAGE-0001.TXT", b"x"), "upper and lower case"),
        (RawEntry(b"bag/data/" + b"n" * 300, b"x"), "bytes long"),
        (RawEntry(b"bag/data/\xff\xfe", b"x", flags=0x800), "UTF-8"),
        (RawEntry(b"bag2/bagit.txt", b"x"), "2 bags"),
    ],
)
def test_hostile_entries_are_refused(tmp_path: Path, entry: RawEntry, word: str) -> None:
    assert any(word in problem for problem in problems(written(tmp_path, entry)))
    assert sorted(tmp_path.iterdir()) == [tmp_path / "bag.zip"]


def test_links_inside_are_copies(tmp_path: Path) -> None:
    files = bag({"page-0001.txt": b"first page\n", "link": b"first page\n"})
    del files["data/link"]
    with opened(written(tmp_path, RawEntry(b"bag/data/link", b"page-0001.txt", mode=LINK), files=files)) as package:
        assert read_all(package)["data/link"] == b"first page\n"


def test_entries_that_lie_over_each_other_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    entries = [RawEntry(f"bag/data/{n}".encode(), b"0" * 1000) for n in range(50)]
    path.write_bytes(raw_zip(entries, same_place=True))
    assert "over each other" in problems(path)[0]


def test_bombs_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "bomb.zip", bag({"zeros": bytes(5_000_000)}))
    assert "archive bomb" in problems(path)[0]
    assert opened(path, Limits(max_archive_ratio=2000)).files
    assert "more than 1,000 bytes" in problems(path, Limits(max_bytes=1000))[0]
    assert "more than 3 files" in problems(path, Limits(max_files=3, max_archive_ratio=2000))[0]
    many = tmp_path / "many.zip"
    many.write_bytes(raw_zip([RawEntry(f"bag/data/{n:0100}".encode()) for n in range(3000)]))
    assert problems(many, Limits(max_files=100))


def test_more_bytes_than_declared_are_noticed(tmp_path: Path) -> None:
    entry = RawEntry(b"bag/data/liar", bytes(100_000), method=8, declared=10, crc=0)
    path = written(tmp_path, entry, files=bag({"page-0001.txt": b"1", "liar": bytes(100_000)}, info=""))
    path.write_bytes(
        raw_zip([entry if e.name == entry.name else e for e in raw_entries(bag({"liar": b"x"}, info=""))])
    )
    package = opened(path)
    with pytest.raises(PackageError, match="damaged"):
        read_all(package)


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_truncated_archives_are_refused(tmp_path: Path, fraction: float) -> None:
    path = write_zip(tmp_path / "bag.zip", bag())
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * fraction)])
    assert "cannot be read" in problems(path)[0]


def test_a_damaged_entry_is_noticed_when_read(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "bag.zip", bag(), method=zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    at = content.index(b"second page")
    content[at] ^= 1
    path.write_bytes(content)
    with opened(path) as package, pytest.raises(PackageError, match="CRC"):
        read_all(package)


def test_what_macos_adds_is_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, RawEntry(b"__MACOSX/"), RawEntry(b"__MACOSX/bag/._data", b"x"))
    package = opened(path)
    assert not any("MACOSX" in file.path for file in package.files)
    files = {file.path: stream.read() for file, stream in package.contents()}
    assert files == bag()


def test_an_archive_that_is_no_bag_gets_a_next_step(tmp_path: Path) -> None:
    assert "unpack the archive" in problems(write_zip(tmp_path / "a.zip", {"a.txt": b"1"}))[0]
    assert "empty" in problems(write_zip(tmp_path / "b.zip", {}))[0]


def test_a_bag_without_a_folder_around_it_is_taken(tmp_path: Path) -> None:
    package = opened(write_zip(tmp_path / "bag.zip", bag(), top=""))
    assert read_all(package) == bag()
