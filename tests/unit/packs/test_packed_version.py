"""A version opened from a pack: every file is held against the inventory, and what is wrong is told."""

import pytest

from repository.errors import IntegrityError, NotFoundError, SourceReadError, TierUnavailableError
from repository.stop import StopToken
from storage_tiers.fixity_outcome import FixityState
from storage_tiers.reading import read_in_full
from tests.doubles.opened_versions import make_version
from tests.doubles.packs import forged_pack, pack_bytes, packed

FIRST = make_version(files={"data/a": b"alpha", "data/b": b"beta", "data/空": b""})
SECOND = make_version(2, {"data/a": b"alpha", "data/new": b"n" * 5_000_000}, previous=FIRST)
OWN = ("0=ocfl_object_1.1", "v1/inventory.json", "v1/inventory.json.sha512")


def files_of_first() -> dict[str, bytes]:
    opened, _ = packed(FIRST, pack_bytes(FIRST))
    return {path: opened.open(path).read() for path in [*OWN, *FIRST.sizes]}


def pack_of_first(**changes: bytes | None) -> bytes:
    """The first version's pack, with files that are others (a name -> bytes) or missing (None)."""
    files = {**files_of_first(), **changes}
    return forged_pack(sorted((path, data) for path, data in files.items() if data is not None))


@pytest.mark.parametrize("version", [FIRST, SECOND])
def test_a_version_comes_out_of_its_pack_as_it_went_in(version) -> None:
    data = pack_bytes(version)
    opened, ranges = packed(version, data)
    with opened:
        assert opened.sizes == version.sizes
        assert {path: stream.read() for path, stream in opened.contents(stop=StopToken())} == dict(version.stored)
        assert list(opened.sizes) == [path for path, _ in opened.contents(stop=StopToken())]
    assert pack_bytes(opened) == data
    assert len(ranges.requests) == 4
    outcome = read_in_full(opened, version.expected, stop=StopToken())
    assert outcome.state is FixityState.VERIFIED
    assert outcome.files == len(version.sizes)


def test_one_page_is_read_without_the_others() -> None:
    opened, ranges = packed(SECOND, pack_bytes(SECOND))
    assert opened.open("v2/content/data/new", offset=4_999_999).read() == b"n"
    assert sum(length for _, length in ranges.requests) < 300_000
    with pytest.raises(SourceReadError) as caught:
        opened.open("v2/content/data/a")
    assert isinstance(caught.value.cause, NotFoundError)


@pytest.mark.parametrize(
    ("changes", "path", "state"),
    [
        ({"v1/content/data/a": b"ALPHA"}, "v1/content/data/a", FixityState.MISMATCH),
        ({"v1/content/data/a": b"alpha and more"}, "v1/content/data/a", FixityState.MISMATCH),
        ({"v1/content/data/a": b""}, "v1/content/data/a", FixityState.MISMATCH),
        ({"v1/content/data/b": None}, "v1/content/data/b", FixityState.MISSING),
        ({"v1/content/data/空": b"x"}, "v1/content/data/空", FixityState.MISMATCH),
        ({"v1/content/data/extra": b"x"}, None, FixityState.MISMATCH),
        ({"v1/inventory.json": b"{}"}, None, FixityState.MISMATCH),
        ({"v1/inventory.json": FIRST.inventory_bytes[:-1]}, None, FixityState.MISMATCH),
        ({"v1/inventory.json": FIRST.inventory_bytes + b" "}, None, FixityState.MISMATCH),
        ({"v1/inventory.json": None}, None, FixityState.MISMATCH),
        ({"v1/inventory.json.sha512": b"0 inventory.json\n"}, None, FixityState.MISMATCH),
        ({"v1/inventory.json.sha512": None}, None, FixityState.MISMATCH),
        ({"0=ocfl_object_1.1": b"ocfl_object_1.0\n"}, None, FixityState.MISMATCH),
        ({"0=ocfl_object_1.1": None}, None, FixityState.MISMATCH),
        ({"0=ocfl_object_1.0": b"ocfl_object_1.0\n"}, None, FixityState.MISMATCH),
    ],
)
def test_a_whole_pack_of_other_files_is_found_out(changes, path, state) -> None:
    """A9: names, sizes and checksums of the pack agree; only the inventory knows better."""
    opened, _ = packed(FIRST, pack_of_first(**changes))
    outcome = read_in_full(opened, FIRST.expected, stop=StopToken())
    assert [(finding.path, finding.state) for finding in outcome.findings] == [(path, state)]
    assert outcome.files == len(FIRST.sizes), "one bad file does not hide the others"
    with pytest.raises(SourceReadError):
        pack_bytes(opened)


def test_an_unchanged_forgery_is_the_pack_itself() -> None:
    """So that the test above shows what the changes do."""
    assert pack_of_first() == pack_bytes(FIRST)


def test_damage_in_the_inventory_of_a_pack_is_found() -> None:
    data = bytearray(pack_bytes(FIRST))
    data[data.index(FIRST.inventory_bytes) + 5] ^= 1
    opened, _ = packed(FIRST, bytes(data))
    outcome = read_in_full(opened, FIRST.expected, stop=StopToken())
    assert [finding.state for finding in outcome.findings] == [FixityState.MISMATCH]


def test_another_valid_version_under_this_name_is_found_out() -> None:
    """A15"""
    opened, _ = packed(FIRST, pack_bytes(SECOND))
    outcome = read_in_full(opened, FIRST.expected, stop=StopToken())
    assert outcome.state is FixityState.MISMATCH
    assert FixityState.MISSING in {finding.state for finding in outcome.findings}


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (TierUnavailableError("The server is gone"), FixityState.UNAVAILABLE),
        (OSError(5, "Input/output error"), FixityState.UNREADABLE),
    ],
)
@pytest.mark.parametrize("place", [0, 5_000_400])
def test_a_server_that_fails_is_not_a_damaged_copy(error: Exception, state: FixityState, place: int) -> None:
    """A11: at the first request, and in the middle of the second."""
    opened, ranges = packed(SECOND, pack_bytes(SECOND))
    ranges.error = (place, error)
    outcome = read_in_full(opened, SECOND.expected, stop=StopToken())
    assert {finding.state for finding in outcome.findings} == {state}


def test_no_pack_at_all_is_told_by_everything_that_reads() -> None:
    opened, _ = packed(FIRST, b"no pack")
    for read in (lambda: opened.sizes, lambda: opened.open("v1/content/data/a"), lambda: pack_bytes(opened)):
        with pytest.raises(SourceReadError) as caught:
            read()
        assert isinstance(caught.value.cause, IntegrityError)


def test_what_the_tier_lent_is_given_back() -> None:
    given_back = []
    opened, _ = packed(FIRST, pack_bytes(FIRST))
    opened._close = lambda: given_back.append(True)
    with opened:
        assert not given_back
    assert given_back == [True]
