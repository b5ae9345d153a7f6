"""Writing packs: the same bytes everywhere, readable by every zip program, and nothing bad ever handed out."""

import hashlib
import io
import os
import shutil
import subprocess
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from repository.errors import (
    DigestMismatchError,
    IntegrityError,
    NotFoundError,
    OperationCancelledError,
    SourceReadError,
    UnreadableError,
)
from repository.hashing import CHUNK_BYTES
from repository.ocfl.validation import is_valid, validate_object
from repository.stop import StopToken
from storage_tiers.packs.layout import MAX_WHOLE_BYTES
from storage_tiers.packs.reading import PackReader
from storage_tiers.packs.writing import plan_pack, write_pack
from tests.doubles.opened_versions import InMemoryVersion, make_version
from tests.doubles.packs import SyntheticVersion, pack_bytes, sparse_pack

LARGE = MAX_WHOLE_BYTES + 1
DECOMPOSED = "data/e\u0301"
ODD_NAMES = {
    "data/卷宗/第1页.tif": b"page",
    'data/it\'s "quoted".txt': b"quotes",
    "data/line\nbreak\t.txt": b"line",
    "data/100%.txt": b"percent",
    "data/😀.txt": b"emoji",
    "data/-rf": b"dash",
    "data/ blank ": b"blank",
    f"data/{'长' * 66}.x": b"200 bytes",
    "data/back\\slash": b"backslash",
    "data/empty": b"",
    DECOMPOSED: b"NFD",
    "data/\u00e9": b"NFC",
    "data/a/b": b"deeper",
    "data/a-b": b"sorts before a/b",
}


def needs(program: str) -> str:
    if shutil.which(program) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{program} is not installed")
        pytest.skip(f"{program} is not installed")
    return program


def handed_out(source: InMemoryVersion, error: type[Exception] = SourceReadError) -> tuple[bytes, Exception]:
    """What came out before it failed, and how it failed."""
    out = io.BytesIO()
    with pytest.raises(error) as caught:
        out.writelines(write_pack(source, stop=StopToken()))
    return out.getvalue(), caught.value


def test_a_pack_has_the_same_bytes_on_every_machine_and_for_ever() -> None:
    """A change of this digest is a change of the format: every pack that is stored has the old one."""
    version = make_version(files={"data/空.txt": b"", "data/a.txt": b"text", "data/large": bytes(LARGE)})
    data = pack_bytes(version)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (
        4197181,
        "423a94992f7c9ff22d20b1cf92cecae95f8e7fff73f4f757fb9178baf89b1938",
    )


def test_size_and_places_are_known_before_anything_is_read() -> None:
    version = make_version(files={**ODD_NAMES, "data/large": bytes(LARGE), "data/limit": b"x" * MAX_WHOLE_BYTES})
    plan = plan_pack(version)
    data = pack_bytes(version)
    assert plan.size_bytes == len(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert plan.directory_offset == archive.start_dir
        assert [(e.path, e.size_bytes, e.offset) for e in plan.entries] == [
            (i.filename, i.file_size, i.header_offset) for i in archive.infolist()
        ]


@pytest.mark.parametrize("algorithm", ["sha512", "sha256"])
def test_zipfile_reads_every_name_and_every_byte(algorithm: str) -> None:
    version = make_version(files=ODD_NAMES, algorithm=algorithm)
    with zipfile.ZipFile(io.BytesIO(pack_bytes(version))) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names == sorted(names)
        own = {"0=ocfl_object_1.1", "v1/inventory.json", f"v1/inventory.json.{algorithm}"}
        assert set(names) == own | set(version.sizes)
        assert archive.read("0=ocfl_object_1.1") == b"ocfl_object_1.1\n"
        assert archive.read("v1/inventory.json") == version.inventory_bytes
        for path, content in version.stored.items():
            assert archive.read(path) == content
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.external_attr >> 16 == 0o100444
            assert not info.is_dir()


@pytest.mark.parametrize(
    "argv", [["unzip", "-q", "-^", "{pack}", "-d", "{folder}"], ["bsdtar", "-xf", "{pack}", "-C", "{folder}"]]
)
def test_common_programs_unpack_it(argv: list[str], tmp_path: Path) -> None:
    """What is stored can be had back with the tools of any system (A23)."""
    needs(argv[0])
    files = {**ODD_NAMES, "data/large": b"y" * LARGE}
    if argv[0] == "bsdtar":
        del files[DECOMPOSED]  # libarchive brings all names to NFC
    version = make_version(files=files)
    pack, folder = tmp_path / "v1.zip", tmp_path / "out"
    pack.write_bytes(pack_bytes(version))
    folder.mkdir()
    argv = [word.format(pack=pack, folder=folder) for word in argv]
    subprocess.run(argv, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    assert {path: found[path] for path in version.stored} == dict(version.stored)
    assert len(found) == len(version.stored) + 3


@pytest.mark.parametrize("argv", [["unzip", "-tq"], ["7zz", "t"], ["bsdtar", "-tf"]])
def test_common_programs_find_nothing_wrong(argv: list[str], tmp_path: Path) -> None:
    needs(argv[0])
    pack = tmp_path / "v1.zip"
    pack.write_bytes(pack_bytes(make_version(files={**ODD_NAMES, "data/large": b"y" * LARGE})))
    subprocess.run(
        [*argv, str(pack)], check=True, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"}, timeout=60
    )


def test_the_commands_in_the_description_make_a_valid_object_of_all_packs(tmp_path: Path) -> None:
    """An object comes back from its packs as docs/reference/pack-format.md says (A23)."""
    needs("unzip")
    text = (Path(__file__).parents[3] / "docs/reference/pack-format.md").read_text()
    commands = text.split("```sh\n")[1].split("```")[0]
    first = make_version(files={**ODD_NAMES, "data/b": b"2"})
    versions = [first]
    for number in range(2, 12):  # v10 is newer than v9
        files = {"data/n": f"new in {number}".encode(), "data/卷/c": b"3"}
        versions.append(make_version(number, files, previous=versions[-1]))
    for number, version in enumerate(versions, 1):
        (tmp_path / f"v{number}.zip").write_bytes(pack_bytes(version))
    subprocess.run(["sh", "-e", "-c", commands], check=True, cwd=tmp_path)
    root = tmp_path / "object"
    assert is_valid(validate_object(root, check_digests=True, stop=StopToken()))
    assert (root / "inventory.json").read_bytes() == versions[-1].inventory_bytes
    versions_and_own = {
        "0=ocfl_object_1.1",
        "inventory.json",
        "inventory.json.sha512",
        *(f"v{n}" for n in range(1, 12)),
    }
    assert {path.name for path in root.iterdir()} == versions_and_own


@pytest.mark.parametrize("argv", [["bsdtar", "-xf", "{pack}", "-C", "{folder}"], ["7zz", "x", "-o{folder}", "{pack}"]])
def test_what_is_left_of_a_pack_that_was_cut_off_can_be_salvaged(argv: list[str], tmp_path: Path) -> None:
    needs(argv[0])
    version = make_version(files={f"data/{n}": b"x" * 9999 * n for n in range(9)} | {"data/3large": b"y" * LARGE})
    pack, folder = tmp_path / "v1.zip", tmp_path / "out"
    entry = next(entry for entry in plan_pack(version).entries if entry.path == "v1/content/data/7")
    pack.write_bytes(pack_bytes(version)[: entry.data_offset + 5])
    folder.mkdir()
    argv = [word.format(pack=pack, folder=folder) for word in argv]
    assert subprocess.run(argv, check=False, capture_output=True).returncode, "it must say that something is missing"
    for name in ("0", "1", "2", "3", "3large", "4", "5", "6"):
        path = f"v1/content/data/{name}"
        assert (folder / path).read_bytes() == version.stored[path]


def test_a_version_that_adds_no_content_has_a_pack() -> None:
    first = make_version(files={"data/a": b"1"})
    second = make_version(2, {"data/b": b"1"}, previous=first)
    with zipfile.ZipFile(io.BytesIO(pack_bytes(second))) as archive:
        assert archive.namelist() == ["v2/inventory.json", "v2/inventory.json.sha512"]


DAMAGES: dict[str, tuple[Callable[[InMemoryVersion, str], InMemoryVersion], type[Exception]]] = {
    "flipped": (lambda v, path: v.with_flipped_byte(path, v.sizes[path] - 1), DigestMismatchError),
    "truncated": (lambda v, path: v.with_truncated_file(path, v.sizes[path] - 1), DigestMismatchError),
    "missing": (lambda v, path: v.without_file(path), NotFoundError),
    "unreadable": (lambda v, path: v.with_read_error(path, after_bytes=v.sizes[path] - 1), UnreadableError),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_nothing_of_a_bad_small_file_is_handed_out(damage: str) -> None:
    """A10: bad bytes do not travel to another copy."""
    damaged, cause = DAMAGES[damage]
    good = make_version(files={"data/a": b"A" * 3_000_000, "data/b": b"B" * 100, "data/c": b"C" * 100})
    out, error = handed_out(damaged(good, "v1/content/data/b"))
    assert isinstance(error, SourceReadError)
    assert isinstance(error.cause, cause)
    assert pack_bytes(good).startswith(out)
    assert len(out) <= plan_pack(good).entries[2].offset


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_large_file_never_comes_to_its_end(damage: str) -> None:
    """A10"""
    damaged, cause = DAMAGES[damage]
    good = make_version(files={"data/a": b"A" * LARGE, "data/b": b"B"})
    out, error = handed_out(damaged(good, "v1/content/data/a"))
    assert isinstance(error, SourceReadError)
    assert isinstance(error.cause, cause)
    assert len(out) < plan_pack(good).entries[1].end


class Untrue(SyntheticVersion):
    """A source that does not keep what the port promises."""

    __slots__ = ("given",)

    def contents(self, *, stop: StopToken) -> Iterator[tuple[str, BinaryIO]]:
        stop.check()
        for path, data in self.given:  # type: ignore[attr-defined]
            if data is None:
                raise SourceReadError(IntegrityError("it has come to a bad end"))
            yield path, io.BytesIO(data)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([("v1/content/a", b"12"), ("v1/content/b", b"345")], None),
        ([("v1/content/a", b"1"), ("v1/content/b", b"345")], "should have 2 bytes, and has 1"),
        ([("v1/content/a", b"1234"), ("v1/content/b", b"345")], "should have 2 bytes, and has more"),
        ([("v1/content/b", b"345"), ("v1/content/a", b"12")], "the source gave 'v1/content/b'"),
        ([("v1/content/a", b"12")], "the source gave 'nothing more'"),
        ([("v1/content/a", b"12"), ("v1/content/b", b"345"), ("v1/content/c", b"")], "does not list it"),
        ([("v1/content/a", b"12"), ("v1/content/b", b"345"), ("", None)], "bad end"),
    ],
)
def test_a_source_that_is_not_as_it_says_gives_no_pack(given: list[tuple[str, bytes | None]], why: str | None) -> None:
    like = SyntheticVersion.of({"v1/content/a": 2, "v1/content/b": 3})
    source = Untrue(
        sizes=like.sizes, inventory=like.inventory, inventory_bytes=like.inventory_bytes, summary=like.summary
    )
    object.__setattr__(source, "given", given)
    if why is None:
        assert len(pack_bytes(source)) == plan_pack(source).size_bytes
        return
    out, error = handed_out(source)  # type: ignore[arg-type]
    assert why in str(error)
    assert b"PK\1\2" not in out


@pytest.mark.parametrize(
    ("sizes", "path", "why"),
    [
        ({}, "v1/content/a", "missing"),
        ({"v1/content/\ud800": 1}, "v1/content/\ud800", "UTF-8"),
        ({f"v1/content/{'x' * 65536}": 1}, f"v1/content/{'x' * 65536}", "longer"),
    ],
)
def test_what_no_pack_can_hold_is_refused_before_anything_is_written(
    sizes: dict[str, int], path: str, why: str
) -> None:
    like = SyntheticVersion.of({path: 1})
    source = SyntheticVersion(
        sizes=sizes, inventory=like.inventory, inventory_bytes=like.inventory_bytes, summary=like.summary
    )
    with pytest.raises(SourceReadError, match=why):
        plan_pack(source)


@pytest.mark.parametrize("size_bytes", [100, 3 * LARGE])
def test_a_stop_ends_the_writing(size_bytes: int) -> None:
    version = make_version(files={"data/a": bytes(2 * CHUNK_BYTES), "data/b": b"x" * size_bytes, "data/c": b"c"})
    stop = StopToken()
    chunks = write_pack(version, stop=stop)
    next(chunks)
    stop.set()
    with pytest.raises(OperationCancelledError):
        assert sum(len(chunk) for chunk in chunks) <= CHUNK_BYTES + 200


def test_chunks_are_small_and_so_is_memory() -> None:
    """Memory does not grow with the version."""
    version = SyntheticVersion.of(
        {f"v1/content/{n:03d}": MAX_WHOLE_BYTES for n in range(12)} | {"v1/content/z": 9 << 20}
    )
    tracemalloc.start()
    try:
        sizes = [len(chunk) for chunk in write_pack(version, stop=StopToken())]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert max(sizes) == CHUNK_BYTES
    assert sum(sizes) == plan_pack(version).size_bytes
    assert peak < 8 << 20


def test_small_files_share_a_chunk() -> None:
    version = SyntheticVersion.of({f"v1/content/{n:05d}": 1000 for n in range(5000)})
    sizes = [len(chunk) for chunk in write_pack(version, stop=StopToken())]
    assert sum(sizes) / len(sizes) > CHUNK_BYTES / 2


def test_more_files_than_sixteen_bits_can_count() -> None:
    version = SyntheticVersion.of({f"v1/content/{n:05d}": n % 7 for n in range(65_600)})
    file = sparse_pack(version)
    with zipfile.ZipFile(file.as_file()) as archive:
        assert len(archive.namelist()) == 65_603
        assert archive.read("v1/content/65599") == b"v1"[: 65_599 % 7]
    entries = PackReader(file, file.size_bytes, where="pack").directory()
    assert [(entry.path, entry.offset) for entry in entries] == [
        (entry.path, entry.offset) for entry in plan_pack(version).entries
    ]


@pytest.mark.parametrize("files", [65_531, 65_532])
def test_the_count_goes_into_its_long_form_where_it_must(files: int) -> None:
    """With three files of its own the pack has 65,534 and 65,535."""
    file = sparse_pack(SyntheticVersion.of({f"v1/content/{n:05d}": 0 for n in range(files)}))
    with zipfile.ZipFile(file.as_file()) as archive:
        assert len(archive.namelist()) == files + 3
    assert len(PackReader(file, file.size_bytes, where="pack").directory()) == files + 3


def test_files_and_places_beyond_four_gibibytes() -> None:
    version = SyntheticVersion.of({"v1/content/a": 0xFFFFFFFF, "v1/content/b": 5, "v1/content/c": LARGE})
    file = sparse_pack(version)
    reader = PackReader(file, file.size_bytes, where="pack")
    assert [(e.path, e.offset, e.size_bytes) for e in reader.directory()] == [
        (e.path, e.offset, e.size_bytes) for e in plan_pack(version).entries
    ]
    assert reader.open("v1/content/b").read() == b"v1/co"
    assert reader.open("v1/content/a", offset=3, length=12).read() == b"content/a\0\0\0"
    last = next(entry for entry in reader.directory() if entry.path == "v1/content/a")
    assert file.read_range(last.end - 24, 4).read() == b"PK\7\10"
    with zipfile.ZipFile(file.as_file()) as archive:
        assert archive.getinfo("v1/content/a").file_size == 0xFFFFFFFF
        assert archive.getinfo("v1/content/b").header_offset > 0xFFFFFFFF
        assert archive.read("v1/content/b") == b"v1/co"
        assert archive.read("v1/content/c")[:12] == b"v1/content/c"
