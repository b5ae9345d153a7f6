"""What is particular to a tier on a disk: kinds of damage, cut-off puts, links, quarantine, a disk that is gone."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from repository.errors import (
    CopyConflictError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    SourceReadError,
    TierDeniedError,
    TierError,
    TierIdentityError,
    TierUnavailableError,
)
from repository.ocfl import storage_root
from repository.ocfl.inventory import sidecar_bytes
from repository.ocfl.validate_storage_root import validate_storage_root
from repository.stop import StopToken
from storage_tiers.disk import reading as disk_reading
from storage_tiers.disk import writing as disk_writing
from storage_tiers.disk.tier import DiskTier, create_disk_tier, open_disk_tier
from storage_tiers.fixity_outcome import Depth
from storage_tiers.identity import IDENTITY_FILE
from storage_tiers.port import ExpectedVersion, PutStatus, VersionRef
from tests.doubles.opened_versions import InMemoryVersion, make_version

NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)
FILES = {"data/a.txt": b"first", "data/b.txt": b"second", "data/空/c": b""}


class Noon:
    def now(self) -> datetime:
        return NOON

    def monotonic_s(self) -> float:
        return 0.0


@pytest.fixture
def tier(tmp_path: Path) -> DiskTier:
    made = create_disk_tier(tmp_path / "tier", name="disk", institution="120000")
    return DiskTier(identity=made.identity, root=made.root, clock=Noon())


@pytest.fixture
def versions() -> list[InMemoryVersion]:
    first = make_version(1, FILES)
    second = make_version(2, {"data/a.txt": b"changed"}, previous=first)
    return [first, second, make_version(3, {"data/a.txt": b"changed again"}, previous=second)]


def put(tier: DiskTier, *versions: InMemoryVersion) -> PutStatus:
    return [tier.put_version(version, stop=StopToken()).status for version in versions][-1]


def object_root(tier: DiskTier, version: InMemoryVersion) -> Path:
    return tier.root.object_root(version.ref.object_path)


def findings(tier: DiskTier, version: InMemoryVersion, depth: Depth = Depth.FULL) -> list[tuple[str, str | None]]:
    outcome = tier.verify_version(version.expected, depth=depth, stop=StopToken())
    return [(finding.state.value, finding.path) for finding in outcome.findings]


def damage(path: Path) -> None:
    """XOR one byte, size and times kept."""
    status, data = path.stat(), bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.chmod(0o644)
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def leftovers(tier: DiskTier) -> list[str]:
    return [path.name for path in (tier.root.path / "extensions").iterdir() if path.name.startswith("jindang")]


# what is put


def test_what_was_put_is_a_valid_storage_root(tier: DiskTier, versions: list[InMemoryVersion]) -> None:
    put(tier, *versions, make_version(identifier="urn:example:other"))
    assert [problem for problem in validate_storage_root(tier.root.path) if problem.severity == "error"] == []
    assert leftovers(tier) == []
    assert tier.root.object_path(versions[0].inventory.id) == versions[0].ref.object_path
    assert (object_root(tier, versions[0]) / "v1/content/data/a.txt").stat().st_mode & 0o777 == 0o444


def test_a_large_file_is_written_past_the_page_cache(tier: DiskTier, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    copy = disk_writing.copy_overlapped
    monkeypatch.setattr(disk_writing, "LARGE_FILE_BYTES", 1 << 16)
    monkeypatch.setattr(disk_writing, "copy_overlapped", lambda *a, **k: (calls.append(1), copy(*a, **k)))
    version = make_version(1, {"data/film": os.urandom((1 << 17) + 3), "data/page": b"small"})
    put(tier, version)
    assert len(calls) == 1
    assert findings(tier, version) == []
    bad = make_version(1, {"data/film": bytes(1 << 17)}, identifier="urn:example:bad")
    with pytest.raises(SourceReadError):
        put(tier, bad.with_flipped_byte("v1/content/data/film", 100_000))
    assert leftovers(tier) == []


def test_a_path_that_leads_out_is_refused(tier: DiskTier) -> None:
    for path in ("../elsewhere", "a/../../b", "/etc", "extensions/x", "", "a//b"):
        with pytest.raises((InvalidInputError, NotFoundError)):
            tier.open_version(VersionRef(path, 1))
        outcome = tier.verify_version(
            ExpectedVersion(object_id=make_version().summary.id, ref=VersionRef(path, 1), inventory_digest="0"),
            depth=Depth.FULL,
            stop=StopToken(),
        )
        assert outcome.findings


def test_a_version_of_another_object_does_not_follow(tier: DiskTier, versions: list[InMemoryVersion]) -> None:
    """A15: the right place, the right number, a valid version, and still not this object's."""
    put(tier, versions[0])
    other = make_version(1, {"data/a.txt": b"another history"})
    with pytest.raises(CopyConflictError, match="same history"):
        put(tier, make_version(2, {"data/a.txt": b"x"}, previous=other))
    assert findings(tier, versions[0]) == []


def test_too_little_space_is_told_before_anything_is_written(
    tier: DiskTier, versions: list[InMemoryVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A21."""
    monkeypatch.setattr(disk_writing, "free_bytes", lambda _: 3)
    monkeypatch.setattr(disk_writing, "_stage", lambda *_, **__: pytest.fail("was written"))
    with pytest.raises(TierError, match="not enough space"):
        put(tier, versions[0])


def test_a_version_that_was_lost_is_put_back_between_its_neighbours(
    tier: DiskTier, versions: list[InMemoryVersion]
) -> None:
    put(tier, *versions)
    for version in versions[:2]:
        shutil.rmtree(object_root(tier, version) / f"v{version.ref.number}")
    assert list(tier.list_versions()) == [versions[2].ref]
    wrong = make_version(1, {"data/a.txt": b"another history"})
    with pytest.raises(CopyConflictError):
        put(tier, wrong)
    assert put(tier, *versions[:2]) is PutStatus.STORED
    for version in versions:
        assert findings(tier, version) == []


def test_an_older_version_folder_in_the_way_is_a_conflict_when_it_is_damaged(
    tier: DiskTier, versions: list[InMemoryVersion]
) -> None:
    put(tier, *versions)
    damage(object_root(tier, versions[0]) / "v1" / "inventory.json")
    with pytest.raises(CopyConflictError, match="cannot be trusted"):
        put(tier, versions[0])
    with pytest.raises(IntegrityError):
        tier.open_version(versions[0].ref)


# who reads meanwhile


def test_a_version_beyond_the_head_is_not_seen_until_it_is_finished(
    tier: DiskTier, versions: list[InMemoryVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A20: killed between two renames."""
    put(tier, versions[0])
    with monkeypatch.context() as patched:
        patched.setattr(storage_root.StorageRoot, "complete_version", _killed)
        with pytest.raises(KeyboardInterrupt):
            put(tier, versions[1])
    assert (object_root(tier, versions[1]) / "v2").is_dir()
    assert list(tier.list_versions()) == [versions[0].ref]
    assert findings(tier, versions[0]) == []
    assert findings(tier, versions[1]) == [("missing", None)]
    with pytest.raises(NotFoundError):
        tier.open_version(versions[1].ref)
    with pytest.raises(NotFoundError):
        put(tier, versions[2])
    assert put(tier, versions[1]) is PutStatus.STORED
    assert put(tier, versions[1]) is PutStatus.ALREADY_PRESENT
    assert findings(tier, versions[1]) == []


def _killed(*_: object, **__: object) -> bool:
    raise KeyboardInterrupt


def test_a_root_that_is_being_replaced_is_looked_at_again(tier: DiskTier, versions: list[InMemoryVersion]) -> None:
    """No false alarm while a newer version is taken away, between the rename of the inventory and of its sidecar."""
    put(tier, *versions[:2])
    sidecar = object_root(tier, versions[1]) / "inventory.json.sha512"
    right = sidecar.read_bytes()

    class Finishing(StopToken):
        def wait(self, seconds: float) -> bool:
            sidecar.write_bytes(right)
            return False

    sidecar.unlink()
    sidecar.write_bytes(sidecar_bytes(versions[2].inventory_bytes, "sha512"))
    assert findings(tier, versions[1]) == [("mismatch", sidecar.name)]
    outcome = tier.verify_version(versions[1].expected, depth=Depth.FULL, stop=Finishing())
    assert outcome.findings == ()


# damage


DAMAGES: dict[str, tuple[Callable[[Path], object], list[tuple[str, str]]]] = {
    "a byte of a file": (lambda root: damage(root / "v1/content/data/a.txt"), [("mismatch", "v1/content/data/a.txt")]),
    "a file too long": (
        lambda root: (root / "v1/content/data/b.txt").write_bytes(b"second!"),
        [("mismatch", "v1/content/data/b.txt")],
    ),
    "a file gone": (lambda root: (root / "v1/content/data/b.txt").unlink(), [("missing", "v1/content/data/b.txt")]),
    "two files": (
        lambda root: (damage(root / "v1/content/data/a.txt"), (root / "v1/content/data/b.txt").unlink()),
        [("mismatch", "v1/content/data/a.txt"), ("missing", "v1/content/data/b.txt")],
    ),
    "a file too many": (
        lambda root: (root / "v1/content/data/new").write_bytes(b""),
        [("mismatch", "v1/content/data/new")],
    ),
    "the inventory": (lambda root: damage(root / "v1/inventory.json"), [("mismatch", "v1/inventory.json")]),
    "its sidecar": (lambda root: damage(root / "v1/inventory.json.sha512"), [("mismatch", "v1/inventory.json")]),
    "the inventory gone": (lambda root: (root / "v1/inventory.json").unlink(), [("missing", "v1/inventory.json")]),
    "the root inventory": (lambda root: damage(root / "inventory.json"), [("mismatch", "inventory.json")]),
    "the root inventory gone": (lambda root: (root / "inventory.json").unlink(), [("missing", "inventory.json")]),
    "the root sidecar": (
        lambda root: damage(root / "inventory.json.sha512"),
        [("mismatch", "inventory.json.sha512")],
    ),
    "the declaration": (lambda root: damage(root / "0=ocfl_object_1.1"), [("mismatch", "0=ocfl_object_1.1")]),
    "the declaration gone": (
        lambda root: (root / "0=ocfl_object_1.1").unlink(),
        [("missing", "0=ocfl_object_1.1")],
    ),
    "the version gone": (lambda root: shutil.rmtree(root / "v1"), [("missing", None)]),  # type: ignore[list-item]
    "the object gone": (shutil.rmtree, [("missing", None)]),  # type: ignore[list-item]
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_found_and_told_apart(what: str, tier: DiskTier, versions: list[InMemoryVersion]) -> None:
    """A8, A9, A11: size, name and times are kept where they can be."""
    other = make_version(identifier="urn:example:other")
    put(tier, versions[0], other)
    inflict, expected = DAMAGES[what]
    inflict(object_root(tier, versions[0]))
    assert findings(tier, versions[0]) == expected
    assert findings(tier, versions[0]) == expected, "A6: nothing was put right by looking"
    assert findings(tier, other) == []


def test_presence_looks_at_names_and_sizes_only(tier: DiskTier, versions: list[InMemoryVersion]) -> None:
    put(tier, versions[0])
    root = object_root(tier, versions[0])
    damage(root / "v1/content/data/a.txt")
    assert findings(tier, versions[0], Depth.PRESENCE) == []
    (root / "v1/content/data/b.txt").unlink()
    assert findings(tier, versions[0], Depth.PRESENCE) == [("missing", "v1/content/data/b.txt")]


def test_another_version_in_its_place_is_not_it(tier: DiskTier, versions: list[InMemoryVersion]) -> None:
    """A15: every object's place holds the same valid object."""
    other = make_version(identifier="urn:example:other")
    put(tier, versions[0], other)
    shutil.rmtree(object_root(tier, versions[0]))
    shutil.copytree(object_root(tier, other), object_root(tier, versions[0]))
    assert ("mismatch", "v1/inventory.json") in findings(tier, versions[0])
    assert findings(tier, other) == []


@pytest.mark.parametrize("kind", ["file", "folder", "pipe"])
def test_nothing_is_read_through_a_link(kind: str, tier: DiskTier, tmp_path: Path) -> None:
    """The right bytes behind a link are not the copy: they may be gone with the disk that they lie on."""
    version = make_version(1, {"data/deep/a.txt": b"first"})
    put(tier, version)
    folder = object_root(tier, version) / "v1/content/data/deep"
    if kind == "folder":
        folder.rename(tmp_path / "deep")
        folder.symlink_to(tmp_path / "deep")
    elif kind == "file":
        (folder / "a.txt").rename(tmp_path / "a.txt")
        (folder / "a.txt").symlink_to(tmp_path / "a.txt")
    else:
        (folder / "a.txt").unlink()
        os.mkfifo(folder / "a.txt")
    assert findings(tier, version)[-1][0] == "mismatch"
    with tier.open_version(version.ref) as opened:
        with pytest.raises(SourceReadError):
            opened.open("v1/content/data/deep/a.txt").read()
        streams = dict(opened.contents(stop=StopToken()))
        with pytest.raises(SourceReadError):
            streams["v1/content/data/deep/a.txt"].read()


def test_a_version_with_a_lost_file_can_be_opened_and_its_stream_tells(
    tier: DiskTier, versions: list[InMemoryVersion]
) -> None:
    put(tier, versions[0])
    (object_root(tier, versions[0]) / "v1/content/data/b.txt").unlink()
    with pytest.raises(IntegrityError, match="missing"):
        tier.stat_version(versions[0].ref)
    with tier.open_version(versions[0].ref) as opened:
        told = []
        for path, stream in opened.contents(stop=StopToken()):
            try:
                stream.read()
            except SourceReadError as error:
                told.append((path, type(error.cause)))
        assert told == [("v1/content/data/b.txt", NotFoundError)]
        with pytest.raises(SourceReadError):
            assert opened.summary


# a disk that is not there


def refuse(monkeypatch: pytest.MonkeyPatch, code: int, name: str) -> None:
    """Let opening a file of this name fail, as the test runs as root and permissions do not hold."""
    real = os.open

    def failing(path: object, *args: object, **kwargs: object) -> int:
        if os.fsdecode(path).endswith(name):  # type: ignore[arg-type]
            raise OSError(code, os.strerror(code), str(path))
        return real(path, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", failing)


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (errno.EACCES, "unreadable"),
        (errno.EIO, "unreadable"),
        (errno.ETIMEDOUT, "unavailable"),
        (errno.ENOENT, "missing"),
    ],
)
def test_what_the_medium_says_decides_the_state(
    code: int, state: str, tier: DiskTier, versions: list[InMemoryVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A11: permission, bad sector, time-out and deletion are told apart; corruption is in the test above."""
    put(tier, versions[0])
    refuse(monkeypatch, code, "a.txt")
    assert findings(tier, versions[0]) == [(state, "v1/content/data/a.txt")]


def test_an_unmounted_disk_is_one_finding_and_nothing_is_written_into_its_place(
    tier: DiskTier, versions: list[InMemoryVersion]
) -> None:
    """A11."""
    put(tier, versions[0])
    tier.root.path.rename(tier.root.path.with_name("unmounted"))
    tier.root.path.mkdir()
    assert findings(tier, versions[0]) == [("unavailable", None)]
    for call in (
        lambda: put(tier, versions[0]),
        lambda: tier.open_version(versions[0].ref),
        lambda: list(tier.list_versions()),
        lambda: tier.quarantine_version(versions[0].ref, note={}),
        tier.usage,
    ):
        with pytest.raises(TierUnavailableError):
            call()
    assert list(tier.root.path.iterdir()) == []


def test_a_disk_that_goes_away_while_it_is_verified_is_one_finding(
    tier: DiskTier, versions: list[InMemoryVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A11: every file seems missing, and none is."""
    put(tier, versions[0])
    real = disk_reading.open_content

    def unmount(folder: Path, path: str) -> object:
        if path.endswith("a.txt"):
            tier.root.path.rename(tier.root.path.with_name("unmounted"))
        return real(folder, path)

    monkeypatch.setattr(disk_reading, "open_content", unmount)
    assert findings(tier, versions[0]) == [("unavailable", None)]


def test_another_disk_in_its_place_is_recognised(tier: DiskTier, versions: list[InMemoryVersion]) -> None:
    put(tier, versions[0])
    tier.root.path.rename(tier.root.path.with_name("ours"))
    create_disk_tier(tier.root.path, name="disk", institution="120000")
    assert findings(tier, versions[0]) == [("unavailable", None)]
    with pytest.raises(TierIdentityError):
        put(tier, versions[0])
    (tier.root.path / IDENTITY_FILE).chmod(0o644)
    (tier.root.path / IDENTITY_FILE).write_text("{")
    with pytest.raises(TierIdentityError):
        open_disk_tier(tier.root.path, name="disk")


def test_the_listing_does_not_stop_at_a_damaged_object(tier: DiskTier, versions: list[InMemoryVersion]) -> None:
    """A17."""
    other = make_version(identifier="urn:example:other")
    put(tier, *versions, other)
    for name in ("inventory.json", "v3/inventory.json"):
        damage(object_root(tier, versions[0]) / name)
    (object_root(tier, versions[0]) / "inventory.json.sha512").unlink()
    assert list(tier.list_versions()) == sorted([*(version.ref for version in versions), other.ref])


# quarantine


def test_the_newest_version_is_taken_away_alone(tier: DiskTier, versions: list[InMemoryVersion]) -> None:
    """The one before it is the head again, and the object is valid; nothing is deleted."""
    put(tier, *versions)
    damage(object_root(tier, versions[2]) / "v3/content/data/a.txt")
    damaged = (object_root(tier, versions[2]) / "v3/content/data/a.txt").read_bytes()
    place = tier.root.path / tier.quarantine_version(versions[2].ref, note={"why": "a mismatch", "run": 7})
    assert place.relative_to(tier.root.path).as_posix() == "extensions/jindang-quarantine/20260506T120000Z-1/v3"
    assert (place / "content/data/a.txt").read_bytes() == damaged
    note = json.loads((place.parent / "note.json").read_bytes())
    assert note == {
        "object_path": versions[2].ref.object_path,
        "version": "v3",
        "moved": ["v3"],
        "whole_object": False,
        "moved_at": "2026-05-06T12:00:00Z",
        "note": {"why": "a mismatch", "run": 7},
    }
    assert (place.parent / "inventory.json").read_bytes() == versions[2].inventory_bytes
    assert list(tier.list_versions()) == [version.ref for version in versions[:2]]
    assert findings(tier, versions[1]) == []
    assert [problem for problem in validate_storage_root(tier.root.path) if problem.severity == "error"] == []
    assert put(tier, versions[2]) is PutStatus.STORED
    assert findings(tier, versions[2]) == []


@pytest.mark.parametrize(("number", "stored"), [(1, 3), (2, 3), (1, 1)])
def test_an_older_version_takes_the_whole_object_along(
    number: int, stored: int, tier: DiskTier, versions: list[InMemoryVersion]
) -> None:
    other = make_version(identifier="urn:example:other")
    put(tier, *versions[:stored], other)
    place = tier.root.path / tier.quarantine_version(versions[number - 1].ref, note={})
    note = json.loads((place.parent / "note.json").read_bytes())
    assert note["whole_object"]
    assert note["moved"] == [f"v{each + 1}" for each in range(stored)]
    assert (place / "v1/inventory.json").read_bytes() == versions[0].inventory_bytes
    assert list(tier.list_versions()) == [other.ref]
    assert put(tier, *versions[:stored]) is PutStatus.STORED


def test_two_at_the_same_second_do_not_meet(tier: DiskTier, versions: list[InMemoryVersion]) -> None:
    places = []
    for _ in range(2):
        put(tier, versions[0])
        places.append(tier.quarantine_version(versions[0].ref, note={}))
    assert places == [f"extensions/jindang-quarantine/20260506T120000Z-{each}/object" for each in (1, 2)]


def test_a_quarantine_that_was_cut_off_is_ended_by_the_put(
    tier: DiskTier, versions: list[InMemoryVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A13: killed between taking the version away and making the one before it the head."""
    put(tier, *versions)
    with monkeypatch.context() as patched:
        patched.setattr(disk_writing, "_make_head", _killed)
        with pytest.raises(KeyboardInterrupt):
            tier.quarantine_version(versions[2].ref, note={})
    assert list(tier.list_versions()) == [version.ref for version in versions[:2]]
    assert findings(tier, versions[1]) == []
    assert put(tier, versions[2]) is PutStatus.STORED
    assert [findings(tier, version) for version in versions] == [[], [], []]


def test_what_is_not_there_is_not_taken_away(tier: DiskTier, versions: list[InMemoryVersion]) -> None:
    put(tier, versions[0])
    for ref in (versions[1].ref, VersionRef("no/such/object", 1)):
        with pytest.raises(NotFoundError):
            tier.quarantine_version(ref, note={})
    assert leftovers(tier) == []


def test_a_refused_permission_is_told(tier: DiskTier, versions: list[InMemoryVersion]) -> None:
    def denied(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(disk_writing, "StagingSession", denied)
        with pytest.raises(TierDeniedError):
            put(tier, versions[0])
