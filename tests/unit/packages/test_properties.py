"""Whatever bytes arrive, there is a verdict and no crash; whatever lawful name is used, it arrives as it was."""

import tempfile
import unicodedata
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repository.errors import PackageError
from repository.packages.bag_validation import validate_bag
from repository.packages.names import escape_problem, folded
from repository.packages.opening import open_package
from repository.packages.package import Limits
from repository.stop import StopToken
from tests.doubles.packages_builder import ARCHIVES, bag, raw_entries, raw_zip, write_folder, write_tar

quick = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TAG_NAMES = ("bagit.txt", "bag-info.txt", "manifest-sha512.txt", "tagmanifest-sha512.txt", "fetch.txt")
PIECES = st.sampled_from(
    [
        b"BagIt-Version: ",
        b"1.0",
        b"0.97",
        b"\n",
        b"\r",
        b"Tag-File-Character-Encoding: ",
        b"UTF-8",
        b"UTF-16",
        b"data/",
        b"../",
        b"%2e",
        b"*",
        b"./",
        b":",
        b" ",
        b"\t",
        b"a" * 128,
        b"Payload-Oxum: 1.1",
        b"http://x - ",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\0",
    ]
)
TEXTS = st.lists(PIECES | st.binary(max_size=12), max_size=20).map(b"".join)
NAMES = (
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="/\0\\"), min_size=1, max_size=40)
    .filter(lambda name: name not in {".", ".."} and len(name.encode()) <= 200)
    .filter(lambda name: escape_problem(name) is None)
)


def never_crashes(path: Path) -> None:
    stop = StopToken()
    limits = Limits(max_files=1000, max_bytes=10 << 20)
    report = validate_bag(path, limits=limits, stop=stop)
    assert report.valid is (not report.errors)
    with suppress(PackageError), open_package(path, format="auto", limits=limits, stop=stop) as package:
        for _, stream in package.contents():
            while stream.read(1 << 16):
                pass


@quick
@given(st.sampled_from(TAG_NAMES), TEXTS)
def test_any_bytes_in_a_tag_file(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        never_crashes(write_folder(Path(folder) / "bag", bag(tag_manifests=False) | {name: content}))


@quick
@given(st.sampled_from(["UTF-16", "UTF-32", "utf-7", "gb18030", "big5", "shift_jis", "cp437", "hz"]), st.binary())
def test_any_bytes_in_any_encoding(encoding: str, content: bytes) -> None:
    files = bag(version="0.97", encoding=encoding, info="A: b\n", tag_manifests=False)
    with tempfile.TemporaryDirectory() as folder:
        never_crashes(write_folder(Path(folder) / "bag", files | {"manifest-sha512.txt": content}))


@quick
@given(st.sampled_from(["zip", "tar", "tar.gz"]), st.binary(max_size=3000))
def test_any_bytes_as_an_archive(suffix: str, content: bytes) -> None:
    magic = {"zip": b"PK\x03\x04", "tar": b"", "tar.gz": b"\x1f\x8b\x08"}[suffix]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{suffix}"
        for start in (b"", magic):
            path.write_bytes(start + content)
            never_crashes(path)


def _archives() -> dict[str, bytes]:
    made = {"raw.zip": raw_zip(raw_entries(bag()))}
    with tempfile.TemporaryDirectory() as folder:
        for kind, write in ARCHIVES.items():
            made[f"bag.{kind}"] = write(Path(folder) / f"bag.{kind}", bag()).read_bytes()
        made["gnu.tar"] = write_tar(Path(folder) / "gnu.tar", bag({"n" * 180: b"x"}), pax=False).read_bytes()
    return made


MADE = _archives()


@settings(quick, max_examples=200)
@given(
    st.sampled_from(sorted(MADE)),
    st.lists(st.tuples(st.integers(min_value=0), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 3000),
)
def test_damaged_archives(name: str, changes: list[tuple[int, int]], cut: int) -> None:
    content = bytearray(MADE[name])
    for at, value in changes:
        content[at % len(content)] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content if cut > 1000 else content[: len(content) - cut])
        never_crashes(path)


@quick
@given(st.dictionaries(NAMES, st.binary(max_size=50), min_size=1, max_size=5))
def test_lawful_names_arrive_as_they_were(payload: dict[str, bytes]) -> None:
    if len({folded(unicodedata.normalize("NFC", name)) for name in payload}) < len(payload):
        return
    files = bag(payload)
    with tempfile.TemporaryDirectory() as folder:
        paths = [write_folder(Path(folder) / "bag", files)]
        paths += [write(Path(folder) / f"bag.{kind}", files) for kind, write in ARCHIVES.items()]
        for path in paths:
            with open_package(path, format="bagit", limits=Limits(), stop=StopToken()) as package:
                assert {file.path: stream.read() for file, stream in package.contents()} == files
            report = validate_bag(path, limits=Limits(), stop=StopToken())
            assert report.valid, (path, report.errors)
