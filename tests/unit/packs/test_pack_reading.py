"""Reading packs: few requests, every byte looked at, and nothing strange ever understood."""

import io
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repository.errors import (
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    RepositoryError,
    SourceReadError,
    TierUnavailableError,
    UnreadableError,
)
from storage_tiers.packs.layout import MAX_WHOLE_BYTES, descriptor, directory_record, lay_out, local_header
from storage_tiers.packs.reading import MAX_DIRECTORY_BYTES, TAIL_BYTES, PackReader
from storage_tiers.packs.writing import plan_pack
from tests.doubles.opened_versions import make_version
from tests.doubles.packs import MemoryRanges, SyntheticVersion, forged_pack, pack_bytes, sparse_pack

FILES = {"data/a.txt": b"alpha", "data/b.txt": b"", "data/空.txt": b"gamma" * 2000}
VERSION = make_version(files=FILES)
PACK = pack_bytes(VERSION)
LARGE_VERSION = make_version(files={"data/a": b"a", "data/l": b"l" * (MAX_WHOLE_BYTES + 1), "data/z": b"z"})
LARGE_PACK = pack_bytes(LARGE_VERSION)


def reader_of(data: bytes) -> PackReader:
    return PackReader(MemoryRanges(data), len(data), where="s3:v1.zip")


def read_all(data: bytes) -> dict[str, bytes]:
    return {entry.path: stream.read() for entry, stream in reader_of(data).entries_in_order()}


def read_or_cause(stream: BinaryIO) -> bytes | RepositoryError:
    try:
        return stream.read()
    except SourceReadError as error:
        return error.cause


def refusal(data: bytes) -> str:
    """Why a pack is refused, by its directory alone."""
    with pytest.raises(IntegrityError) as caught:
        reader_of(data).directory()
    assert caught.value.where == "s3:v1.zip"
    assert caught.value.next_step
    return caught.value.why or ""


def test_all_files_come_back_from_two_requests() -> None:
    ranges = MemoryRanges(LARGE_PACK)
    reader = PackReader(ranges, len(LARGE_PACK), where="pack")
    found = {entry.path: stream.read() for entry, stream in reader.entries_in_order()}
    assert {path: found[path] for path in LARGE_VERSION.stored} == dict(LARGE_VERSION.stored)
    directory_offset = plan_pack(LARGE_VERSION).directory_offset
    assert ranges.requests == [(len(LARGE_PACK) - TAIL_BYTES, TAIL_BYTES), (0, directory_offset)]


def test_one_file_takes_one_request_once_the_directory_is_known() -> None:
    ranges = MemoryRanges(PACK)
    reader = PackReader(ranges, len(PACK), where="pack")
    assert reader.open("v1/content/data/a.txt").read() == b"alpha"
    assert reader.open("v1/content/data/空.txt", offset=3, length=4).read() == b"maga"
    assert len(ranges.requests) == 3
    assert [length for _, length in ranges.requests[1:]] == [5, 4]


def test_a_directory_larger_than_the_tail_takes_one_request_more() -> None:
    version = SyntheticVersion.of({f"v1/content/{n:05d}": 10 for n in range(6000)})
    data = pack_bytes(version)
    ranges = MemoryRanges(data)
    reader = PackReader(ranges, len(data), where="pack")
    assert len(reader.directory()) == len(reader.directory()) == 6003
    assert len(ranges.requests) == 2
    assert ranges.requests[1][0] == plan_pack(version).directory_offset
    assert sum(length for _, length in ranges.requests) == len(data) - plan_pack(version).directory_offset


@given(offset=st.integers(0, 12_000), length=st.none() | st.integers(0, 12_000))
@settings(max_examples=60, deadline=None)
def test_a_part_of_a_file_is_the_part_that_is_there(offset: int, length: int | None) -> None:
    content = FILES["data/空.txt"]
    part = reader_of(PACK).open("v1/content/data/空.txt", offset=offset, length=length).read()
    assert part == (content[offset:] if length is None else content[offset : offset + length])


def test_a_file_that_is_not_in_the_pack_is_not_found() -> None:
    with pytest.raises(NotFoundError, match=r"data/x\.txt"):
        reader_of(PACK).open("v1/content/data/x.txt")


@pytest.mark.parametrize("part", [{"offset": -1}, {"length": -1}])
def test_a_negative_part_is_refused(part: dict[str, int]) -> None:
    with pytest.raises(InvalidInputError):
        reader_of(PACK).open("v1/content/data/a.txt", **part)


def test_every_flipped_bit_is_found() -> None:
    """A9: there is no byte of a pack that could be another one unnoticed."""
    small = pack_bytes(make_version(files={"data/a": b"a", "data/空": b""}))
    for position in range(len(small)):
        damaged = bytearray(small)
        damaged[position] ^= 1 << position % 8
        with pytest.raises((IntegrityError, SourceReadError)) as caught:
            read_all(bytes(damaged))
        error = caught.value.cause if isinstance(caught.value, SourceReadError) else caught.value
        assert isinstance(error, IntegrityError), position


@pytest.mark.parametrize("where", ["local header", "content", "data descriptor"])
def test_every_byte_of_a_large_file_counts(where: str) -> None:
    """A9"""
    entry = next(entry for entry in plan_pack(LARGE_VERSION).entries if entry.is_streamed)
    positions = {
        "local header": range(entry.offset, entry.data_offset),
        "content": (entry.data_offset, entry.data_offset + entry.size_bytes - 1),
        "data descriptor": range(entry.end - 16, entry.end),
    }
    for position in positions[where]:
        damaged = bytearray(LARGE_PACK)
        damaged[position] ^= 0x80
        reader = reader_of(bytes(damaged))
        outcomes = {found.path: read_or_cause(stream) for found, stream in reader.entries_in_order()}
        bad = [path for path, outcome in outcomes.items() if isinstance(outcome, IntegrityError)]
        assert bad == [entry.path]


def test_a_bad_file_does_not_hide_the_next_one() -> None:
    """A17"""
    entries = plan_pack(VERSION).entries
    damaged = bytearray(PACK)
    damaged[entries[1].data_offset] ^= 1  # content of a.txt
    damaged[entries[3].offset + 1] ^= 1  # local header of 空.txt
    outcomes = {entry.path: read_or_cause(stream) for entry, stream in reader_of(bytes(damaged)).entries_in_order()}
    for path in ("v1/content/data/a.txt", "v1/content/data/空.txt"):
        assert isinstance(outcomes.pop(path), IntegrityError)
    assert outcomes["v1/content/data/b.txt"] == b""
    assert outcomes["v1/inventory.json"] == VERSION.inventory_bytes
    assert all(isinstance(outcome, bytes) for outcome in outcomes.values())


def test_a_file_that_nobody_reads_is_passed_over() -> None:
    found = {}
    for number, (entry, stream) in enumerate(reader_of(LARGE_PACK).entries_in_order()):
        found[entry.path] = stream.read(number)
    assert found["v1/content/data/z"] == b"z"


@pytest.mark.parametrize("kept", range(0, len(PACK), 211))
def test_a_pack_that_is_cut_off_is_refused(kept: int) -> None:
    assert "cut off" in refusal(PACK[:kept])


@pytest.mark.parametrize("extra", [b"\0", b"PK\5\6", b"x" * 30, PACK])
def test_bytes_behind_a_pack_are_refused(extra: bytes) -> None:
    assert refusal(PACK + extra)


@pytest.mark.parametrize("extra", [b"\0", b"#!/bin/sh\n", PACK])
def test_bytes_before_a_pack_are_refused(extra: bytes) -> None:
    assert "belong to nothing" in refusal(extra + PACK)


def test_a_pack_of_another_length_than_it_was_said_to_have_is_refused() -> None:
    with pytest.raises(IntegrityError, match="ends before it should"):
        PackReader(MemoryRanges(PACK), len(PACK) + 5, where="pack").directory()


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["v1/content/a", "v1/content/a"], "occurs twice"),
        (["v1/content/b", "v1/content/a"], "out of order"),
        (["v1/content/../../etc/passwd"], "dots alone"),
        (["/etc/passwd"], "slash"),
        (["v1/content//a"], "empty"),
        (["v1/content/a/"], "slash"),
        (["v1/content/a", "v1/content/a/b"], "also a directory"),
        (["v1/a\0b"], "null character"),
        (["etc/passwd"], "no version's folder"),
        (["v0/content/a"], "no version's folder"),
        (["inventory.json", "v1/a"], "no version's folder"),
        (["0=ocfl_object_1.1/a", "v1/a"], "no version's folder"),
        (["v1/content/a", "v2/content/a"], "several versions"),
        ([], "no files"),
    ],
)
def test_names_that_could_do_harm_are_refused(names: list[str], why: str) -> None:
    reason = refusal(forged_pack((name, b"x") for name in names))
    assert why in reason or (not names and "larger than" in reason)


def zipped(change: Callable[[zipfile.ZipFile], None]) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w") as archive:
        warnings.simplefilter("ignore")
        change(archive)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (zipped(lambda z: z.writestr("v1/content/a", b"x" * 99, zipfile.ZIP_DEFLATED)), "compressed"),
        (zipped(lambda z: z.writestr("v1/content/a", b"x")), "attributes"),
        (zipped(lambda z: setattr(z, "comment", b"hello")), "cut off"),
        (zipped(lambda z: z.mkdir("v1")), "slash|attributes"),
        (b"", "cut off"),
        (b"\0" * 4096, "cut off"),
        (b"<?xml version='1.0'?><Error>NoSuchKey</Error>", "cut off"),
    ],
)
def test_other_zip_files_and_other_files_are_refused(data: bytes, why: str) -> None:
    assert any(word in refusal(data) for word in why.split("|"))


def patched(offset_in_record: int, form: str, value: int, *, record: bytes = b"PK\1\2") -> bytes:
    """The pack, with one field of its first directory record (or its end) another one."""
    position = PACK.index(record) + offset_in_record
    size = struct.calcsize(form)
    return PACK[:position] + struct.pack(form, value) + PACK[position + size :]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (patched(8, "<H", 0x801), "encrypted"),
        (patched(10, "<H", 8), "compressed"),
        (patched(32, "<H", 5), "comment"),
        (patched(42, "<I", 7), "lies at 7"),
        (patched(24, "<I", 0xFFFFFFF0), "two sizes"),
        (patched(20, "<Q", 0x00300000_00300000), "reach into the directory"),
        (patched(4, "<H", 20), "attributes"),
        (patched(24, "<I", 0xFFFFFFFF), "two sizes"),
        (patched(28, "<H", 0xFFFF), "reach into the directory|not UTF-8|fewer"),
        (patched(46, "<B", 0xFF), "not UTF-8"),
        (patched(10, "<H", 3, record=b"PK\5\6"), "not as Jindang writes it"),
        (patched(12, "<I", 0xFFFFFFF0, record=b"PK\5\6"), "beyond its end"),
        (patched(16, "<I", 3, record=b"PK\5\6"), "belong to nothing"),
        (patched(20, "<H", 3, record=b"PK\5\6"), "has a comment"),
        (patched(4, "<H", 1, record=b"PK\5\6"), "not as Jindang writes it"),
    ],
)
def test_each_field_of_the_directory_is_looked_at(data: bytes, why: str) -> None:
    assert any(word in refusal(data) for word in why.split("|"))


def with_directory(records: bytes, count: int, body: bytes) -> bytes:
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(records), len(body), 0)
    return body + records + end


def test_files_that_share_bytes_are_refused() -> None:
    """A zip bomb: one content under many names."""
    directory_offset = plan_pack(VERSION).directory_offset
    body, records = PACK[:directory_offset], PACK[directory_offset : PACK.rindex(b"PK\5\6")]
    first = records[: records.index(b"PK\1\2", 4)]
    assert "lies at 0" in refusal(with_directory(first * 40, 40, body))


def test_a_gap_between_files_is_refused() -> None:
    one, two = (forged_pack([(name, b"x")]) for name in ("v1/a", "v1/b"))
    ends = [data.index(b"PK\1\2") for data in (one, two)]
    moved = bytearray(two[ends[1] : two.rindex(b"PK\5\6")])
    moved[42:46] = struct.pack("<I", ends[0] + 6)
    records = one[ends[0] : one.rindex(b"PK\5\6")] + bytes(moved)
    body = one[: ends[0]] + b"hidden" + two[: ends[1]]
    assert "where" in refusal(with_directory(records, 2, body))
    last = with_directory(one[ends[0] : one.rindex(b"PK\5\6")], 1, one[: ends[0]] + b"hidden")
    assert "belong to no file" in refusal(last)


def test_fewer_records_than_files_are_refused() -> None:
    data = bytearray(PACK)
    position = PACK.rindex(b"PK\5\6")
    data[position + 8 : position + 12] = struct.pack("<2H", 40, 40)
    assert "fewer files" in refusal(bytes(data))


def test_a_huge_directory_is_refused_before_it_is_read() -> None:
    """Nobody makes us take a gigabyte into memory by saying so."""
    directory_bytes = MAX_DIRECTORY_BYTES + 1
    for size_bytes in (3 * directory_bytes, directory_bytes + 4096):
        offset = size_bytes - 22 - directory_bytes
        end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 9, 9, directory_bytes, offset, 0)

        class Ranges(MemoryRanges):
            def read_range(self, offset: int, length: int) -> io.BytesIO:
                self.requests.append((offset, length))
                return io.BytesIO(self.data.rjust(length, b"\0"))

        ranges = Ranges(end)
        with pytest.raises(IntegrityError, match="larger than that of any pack"):
            PackReader(ranges, size_bytes, where="pack").directory()
        assert [length for _, length in ranges.requests] == [TAIL_BYTES]


MUTATIONS = st.lists(
    st.tuples(st.sampled_from(["flip", "insert", "delete", "cut", "copy"]), st.integers(0), st.integers(0)),
    min_size=1,
    max_size=4,
)


@given(mutations=MUTATIONS)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_mutated_pack_is_read_as_it_was_or_refused(mutations: list[tuple[str, int, int]]) -> None:
    data = bytearray(PACK)
    for kind, place, value in mutations:
        position = place % (len(data) + 1)
        if kind == "flip" and position < len(data):
            data[position] ^= value % 255 + 1
        elif kind == "insert":
            data[position:position] = bytes([value % 256]) * (value % 50 + 1)
        elif kind == "delete":
            del data[position : position + value % 50 + 1]
        elif kind == "cut":
            del data[position:]
        elif kind == "copy":
            data[position : position + 60] = data[value % (len(data) + 1) :][:60]
    reader = reader_of(bytes(data))
    try:
        found = {entry.path: read_or_cause(stream) for entry, stream in reader.entries_in_order()}
    except IntegrityError:
        return
    bad = [outcome for outcome in found.values() if not isinstance(outcome, bytes)]
    assert all(isinstance(outcome, IntegrityError) for outcome in bad)
    if not bad:
        assert bytes(data) == PACK
        assert found["v1/content/data/a.txt"] == b"alpha"


@given(data=st.binary(max_size=200), end=st.booleans())
@settings(max_examples=200, deadline=None)
def test_any_bytes_at_all_are_refused(data: bytes, end: bool) -> None:
    if end:
        data += b"PK\5\6" + data[:18].ljust(18, b"\0")
    assert refusal(data)


@given(
    files=st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=30)
        .filter(lambda name: name not in (".", ".."))
        .map("v1/content/{}".format),
        st.binary(max_size=300),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=100, deadline=None)
def test_any_names_and_contents_come_back(files: dict[str, bytes]) -> None:
    data = forged_pack(sorted(files.items()))
    assert read_all(data) == files
    reader = reader_of(data)
    assert {path: reader.open(path).read() for path in files} == files


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OSError(5, "Input/output error"), UnreadableError),
        (TierUnavailableError("The server is gone"), TierUnavailableError),
        (SourceReadError(TierUnavailableError("The server is gone")), TierUnavailableError),
    ],
)
def test_bytes_that_cannot_be_read_are_not_called_damaged(error: Exception, cause: type[Exception]) -> None:
    """A11: a server that is gone says nothing of the copy."""
    version = make_version(files={"data/a": b"a" * 300_000, "data/b": b"b" * 300_000})
    data = pack_bytes(version)
    ranges = MemoryRanges(data, error=(350_000, error))
    reader = PackReader(ranges, len(data), where="pack")
    with pytest.raises(cause):
        reader.directory()
    ranges.error = None
    reader.directory()
    ranges.error = (310_000, error)
    entries = reader.entries_in_order()
    read = [stream.read() for _, stream in (next(entries), next(entries))]
    assert read[1] == b"a" * 300_000
    _, stream = next(entries)
    with pytest.raises(SourceReadError) as caught:
        stream.read()
    assert isinstance(caught.value.cause, cause)
    with pytest.raises(SourceReadError) as caught:
        next(entries)
    assert isinstance(caught.value.cause, cause)


def test_a_range_that_ends_early_is_a_pack_that_is_cut_off() -> None:
    ranges = MemoryRanges(PACK)
    reader = PackReader(ranges, len(PACK), where="pack")
    reader.directory()
    ranges.data = PACK[:200]
    with pytest.raises(SourceReadError, match="cut off"):
        [stream.read() for _, stream in reader.entries_in_order()]


def test_the_request_is_closed_when_reading_is_given_up() -> None:
    class Ranges(MemoryRanges):
        def read_range(self, offset: int, length: int) -> io.BytesIO:
            self.stream = super().read_range(offset, length)
            return self.stream  # type: ignore[return-value]

    ranges = Ranges(PACK)
    entries = PackReader(ranges, len(PACK), where="pack").entries_in_order()
    next(entries)[1].read()
    assert not ranges.stream.closed
    entries.close()  # type: ignore[attr-defined]
    assert ranges.stream.closed


@pytest.mark.parametrize("size_bytes", [MAX_WHOLE_BYTES, MAX_WHOLE_BYTES + 1, 0xFFFFFFFE, 0xFFFFFFFF, 0x100000000])
def test_the_length_of_each_record_follows_from_names_and_sizes(size_bytes: int) -> None:
    """Where a reader may compute a place, the writer has put it there."""
    first, second = lay_out([("v1/content/空", size_bytes), ("v1/content/窗", 1)])
    assert len(local_header(first, 1)) == first.data_offset
    assert len(descriptor(first, 1)) == second.offset - first.data_offset - size_bytes
    assert len(directory_record(first, 1)) == first.directory_bytes
    assert len(directory_record(second, 1)) == second.directory_bytes


def test_a_large_pack_is_read_in_bounded_memory() -> None:
    file = sparse_pack(SyntheticVersion.of({"v1/content/a": 64 << 20, "v1/content/b": 1}))
    buffer = memoryview(bytearray(1 << 20))
    tracemalloc.start()
    try:
        for _, stream in PackReader(file, file.size_bytes, where="pack").entries_in_order():
            while stream.readinto(buffer):  # type: ignore[attr-defined]
                pass
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 << 20
