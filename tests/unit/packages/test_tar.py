"""Bags in tar archives, plain and with gzip, made by others, by mistake and by malice."""

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from repository.errors import PackageError
from repository.packages.opening import open_package
from repository.packages.package import Limits, Package
from repository.packages.tar_headers import parse_header
from repository.stop import StopToken
from tests.doubles.packages_builder import ODD_NAMES, bag, gzip_bytes, tar_entry, write_folder, write_tar

KINDS = ("tar", "tar.gz")
both = pytest.mark.parametrize("kind", KINDS)


def opened(path: Path, limits: Limits | None = None) -> Package:
    return open_package(path, format="auto", limits=limits or Limits(), stop=StopToken())


def problems(path: Path, limits: Limits | None = None) -> tuple[str, ...]:
    with pytest.raises(PackageError) as caught:
        opened(path, limits)
    assert caught.value.problems
    return caught.value.problems


def read_all(package: Package) -> dict[str, bytes]:
    return {file.path: stream.read() for file, stream in package.contents()}


@both
@pytest.mark.parametrize("pax", [True, False])
@pytest.mark.parametrize("top", ["bag/", "./bag/", "", "./"])
def test_a_bag_in_tar_is_read(tmp_path: Path, kind: str, pax: bool, top: str) -> None:
    files = bag({name: name.encode() * 50 for name in ODD_NAMES})
    with opened(write_tar(tmp_path / f"bag.{kind}", files, top=top, pax=pax)) as package:
        assert package.random_access is (kind == "tar")
        assert package.name == "bag"
        assert read_all(package) == files
        assert read_all(package) == files
        with package.open(package.files[-1]) as stream:
            assert stream.read() == files[package.files[-1].path]


@both
@pytest.mark.parametrize(
    ("entry", "word"),
    [
        (tar_entry("../evil"), "dangerous"),
        (tar_entry("/etc/evil"), "dangerous"),
        (tar_entry("bag/data/../../../evil"), "dangerous"),
        (tar_entry("bag/data/..\\..\\..\\evil"), "dangerous"),
        (tar_entry("C:\\evil"), "dangerous"),
        (tar_entry("bag/data/%2e%2e/%2e%2e/evil"), "dangerous"),
        (tar_entry("bag//data/x"), "cannot be taken"),
        (tar_entry("other/file"), "beside the bag"),
        (tar_entry("bag/data/link", kind=tarfile.SYMTYPE, target="../../etc/passwd"), "leads out"),
        (tar_entry("bag/data/link", kind=tarfile.SYMTYPE, target="/etc/passwd"), "leads out"),
        (tar_entry("bag/data/link", kind=tarfile.SYMTYPE, target="link"), "circle"),
        (tar_entry("bag/data/link", kind=tarfile.SYMTYPE, target="annex"), "does not lead to a file"),
        (tar_entry("bag/data/link", kind=tarfile.LNKTYPE, target="/etc/passwd"), "leads out"),
        (tar_entry("bag/data/link", kind=tarfile.LNKTYPE, target="../../etc/passwd"), "leads out"),
        (tar_entry("bag/data/link", kind=tarfile.LNKTYPE, target="bag/data/none"), "does not lead to a file"),
        (tar_entry("bag/data/fifo", kind=tarfile.FIFOTYPE), "device, fifo or socket"),
        (tar_entry("bag/data/disk", kind=tarfile.BLKTYPE), "device, fifo or socket"),
        (tar_entry("bag/data/null", kind=tarfile.CHRTYPE), "device, fifo or socket"),
        (tar_entry("bag/data/page-0001.txt"), "is there twice"),
        (tar_entry("bag/data/PAGE-0001.txt"), "upper and lower case"),
        (tar_entry("bag/data/annex"), "both a file and a folder"),
        (tar_entry("bag/data/sparse", kind=tarfile.GNUTYPE_SPARSE), "sparse"),
        (tar_entry("bag/data/odd", kind=b"Z"), "not known"),
        (tar_entry("bag/" + "d/" * 70 + "x"), "deep"),
    ],
)
def test_hostile_entries_are_refused(tmp_path: Path, kind: str, entry: tarfile.TarInfo, word: str) -> None:
    path = write_tar(tmp_path / f"bag.{kind}", bag(), extra=[entry])
    assert any(word in problem for problem in problems(path))
    assert list(tmp_path.iterdir()) == [path]


@both
def test_links_inside_are_copies(tmp_path: Path, kind: str) -> None:
    names = ("soft", "hard", "annex/up", "chain")
    files = bag({"page-0001.txt": b"first page\n", "last.txt": b"last", **dict.fromkeys(names, b"first page\n")})
    plain = {path: content for path, content in files.items() if path[5:] not in names}
    path = write_tar(
        tmp_path / f"bag.{kind}",
        plain,
        extra=[
            tar_entry("bag/data/soft", kind=tarfile.SYMTYPE, target="page-0001.txt"),
            tar_entry("bag/data/hard", kind=tarfile.LNKTYPE, target="bag/data/page-0001.txt"),
            tar_entry("bag/data/annex/up", kind=tarfile.SYMTYPE, target="../page-0001.txt"),
            tar_entry("bag/data/chain", kind=tarfile.SYMTYPE, target="soft"),
        ],
    )
    with opened(path) as package:
        read = [(file.path, stream.read()) for file, stream in package.contents()]
        assert [file for file, _ in read] == [file.path for file in package.files]
        assert dict(read) == files
        assert {file: package.open(found).read() for found in package.files for file in [found.path]} == files


def test_too_many_links_out_of_gzip_are_refused(tmp_path: Path) -> None:
    links = [tar_entry(f"bag/data/{n}", kind=tarfile.SYMTYPE, target="page-0001.txt") for n in range(11)]
    path = write_tar(tmp_path / "bag.tar.gz", bag(), extra=links)
    assert any("links to one file" in problem for problem in problems(path))


@both
def test_links_count_against_the_limits(tmp_path: Path, kind: str) -> None:
    links = [tar_entry(f"bag/data/{n}", kind=tarfile.SYMTYPE, target="big") for n in range(9)]
    path = write_tar(tmp_path / f"bag.{kind}", bag({"big": bytes(100_000)}), extra=links)
    assert any("500,000 bytes" in problem for problem in problems(path, Limits(max_bytes=500_000)))


@both
def test_names_that_are_not_utf8_are_refused_with_a_remedy(tmp_path: Path, kind: str) -> None:
    entry = tar_entry("bag/data/" + "档案".encode("gbk").decode("utf-8", "surrogateescape"))
    path = write_tar(tmp_path / f"bag.{kind}", bag(), extra=[entry], pax=False)
    assert any("convmv" in problem for problem in problems(path))


@both
@pytest.mark.parametrize("kept", [0, 300, 700, 2000])
def test_truncated_archives_are_refused(tmp_path: Path, kind: str, kept: int) -> None:
    path = write_tar(tmp_path / f"bag.{kind}", bag({"random": bytes(range(256)) * 40}))
    path.write_bytes(path.read_bytes()[:kept] if kept < path.stat().st_size else b"")
    assert problems(path)


def test_a_tar_cut_at_a_header_misses_files(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "bag.tar", bag({"a": b"1", "b": b"2"}))
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(b"bag/tagmanifest")])
    assert any("no end mark" in warning for warning in opened(path).check(digests_of(path)).warnings)
    path.write_bytes(content[: content.index(b"bag/data/b")])
    assert problems(path)


def digests_of(path: Path) -> dict[str, dict[str, str]]:
    from repository.hashing import MultiHasher

    found = {}
    with opened(path) as package:
        for file, stream in package.contents():
            hasher = MultiHasher(package.algorithms_for(file))
            hasher.update(stream.read())
            found[file.path] = hasher.digests()
    return found


@both
def test_a_damaged_header_is_not_the_end(tmp_path: Path, kind: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in bag().items():
            archive.addfile(tar_entry(f"bag/{name}", size=len(content)), io.BytesIO(content))
    content = bytearray(buffer.getvalue())
    content[content.index(b"bag/tagmanifest")] ^= 1
    path = tmp_path / f"bag.{kind}"
    path.write_bytes(gzip_bytes(bytes(content)) if kind == "tar.gz" else bytes(content))
    assert any("header at byte" in problem for problem in problems(path))


def test_damaged_gzip_is_refused(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "bag.tar.gz", bag({"random": bytes(range(256)) * 40}))
    content = path.read_bytes()
    for damaged in (
        content[:-4],
        content[:-4] + bytes(4),
        content + b"junk",
        content[:200] + b"\0" * 50 + content[250:],
    ):
        path.write_bytes(damaged)
        assert problems(path)
    path.write_bytes(content + bytes(1000))
    assert opened(path).files


def test_several_gzip_members_are_one_stream(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "bag.tar", bag())
    content = path.read_bytes()
    target = tmp_path / "two.tar.gz"
    target.write_bytes(gzip_bytes(content[:1000]) + gzip_bytes(content[1000:]))
    assert read_all(opened(target)) == bag()


def test_gzip_bombs_are_refused(tmp_path: Path) -> None:
    bomb = write_tar(tmp_path / "bomb.tar.gz", bag({"zeros": bytes(5_000_000)}))
    assert any("archive bomb" in problem for problem in problems(bomb))
    assert opened(bomb, Limits(max_archive_ratio=2000)).files
    endless = tmp_path / "endless.tar.gz"
    endless.write_bytes(gzip_bytes(write_tar(tmp_path / "a.tar", bag()).read_bytes() + bytes(100_000_000)))
    assert any("archive bomb" in problem for problem in problems(endless))


@both
def test_records_of_any_size_are_not_read_into_memory(tmp_path: Path, kind: str) -> None:
    big = tar_entry("x", size=3_000_000, kind=tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT) + bytes(3_000_320)
    path = tmp_path / f"bag.{kind}"
    path.write_bytes(gzip_bytes(big) if kind == "tar.gz" else big)
    assert any("bytes of records" in problem for problem in problems(path))


def test_a_chain_of_long_names_does_not_exhaust_the_stack(tmp_path: Path) -> None:
    link = tar_entry("x", size=2, kind=tarfile.GNUTYPE_LONGNAME).tobuf(tarfile.GNU_FORMAT) + b"a\0" + bytes(510)
    (tmp_path / "bag.tar").write_bytes(link * 5000)
    assert problems(tmp_path / "bag.tar")


@pytest.mark.parametrize(
    "records", [b"x", b"99 path=a\n", b"0 a=b\n", b"11 path=a/b", b"13 size=-5555\n", b"-1 a=b\n"]
)
def test_bad_pax_records_are_refused(tmp_path: Path, records: bytes) -> None:
    header = tar_entry("x", size=len(records), kind=tarfile.XHDTYPE).tobuf(tarfile.USTAR_FORMAT)
    content = header + records.ljust(512, b"\0") + tar_entry("bag/bagit.txt").tobuf() + bytes(1024)
    (tmp_path / "bag.tar").write_bytes(content)
    assert problems(tmp_path / "bag.tar")


@both
def test_many_files_are_refused_early(tmp_path: Path, kind: str) -> None:
    path = write_tar(tmp_path / f"bag.{kind}", {str(n): b"" for n in range(50)})
    assert any("more than 10 files" in problem for problem in problems(path, Limits(max_files=10)))


@pytest.mark.parametrize("kind", ["v7", "oldgnu", "gnu", "ustar", "posix"])
@pytest.mark.skipif(shutil.which("tar") is None, reason="needs GNU tar")
def test_archives_of_gnu_tar_are_read(tmp_path: Path, kind: str) -> None:
    names = {f"{'d' * 60}/{'n' * 80}.txt": b"1", "page.txt": b"2"} if kind != "v7" else {"page.txt": b"2"}
    write_folder(tmp_path / "bag", bag(names))
    for name, flags in {"bag.tar": "-cf", "bag.tgz": "-czf"}.items():
        argv = ["tar", f"--format={kind}", flags, name, "bag"]
        assert subprocess.run(argv, cwd=tmp_path, check=False).returncode == 0
        assert read_all(opened(tmp_path / name)) == bag(names)


def test_numbers_in_headers() -> None:
    block = bytearray(tar_entry("x", size=8**11).tobuf(tarfile.GNU_FORMAT))
    assert parse_header(bytes(block)).size == 8**11
    for field in (b"-0000000017\0", b"0x000000017\0", b"\xff" * 12):
        block[124:136] = field
        block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
        try:
            assert parse_header(bytes(block)).size > 2**80
        except ValueError:
            assert field[0] < 128


def test_an_archive_that_changes_is_noticed(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "bag.tar", bag())
    package = opened(path)
    with path.open("ab") as other:
        other.write(b"more")
    with pytest.raises(PackageError, match="changed while being read"):
        read_all(package)


def test_what_is_no_tar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"%PDF-1.7" + bytes(2000))
    assert "not a tar archive" in problems(tmp_path / "a.tar")[0]
