"""The reconciler: copies are made, read back, and counted only then; each way in which that can fail is one state."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from replication.transfer import TransferStatus
from repository.catalog.catalog import Catalog
from repository.errors import OperationCancelledError, TierDeniedError, TierFullError, TierUnavailableError
from repository.model import CopyState, EventOutcome, EventType, Metadata, TransferState
from repository.stop import StopToken
from storage_tiers.disk.tier import create_disk_tier, open_disk_tier
from storage_tiers.fixity_outcome import Depth, FixityState
from storage_tiers.memory import MemoryTier
from storage_tiers.port import ExpectedVersion, OpenedVersion, Placed, StorageTier
from storage_tiers.wrappers.forwarding import ForwardingTier
from storage_tiers.wrappers.zone_guard import ZoneGuardedTier
from tests.doubles.archive import Archive, everywhere, flip_a_byte, memory_tier
from tests.doubles.faulty_tier import Fault, FaultyTier
from tests.doubles.opened_versions import make_version
from tests.doubles.vault import SteppingClock, uri_of

NAME = "J019-WS·2015·D30-003-005"
FILES = {"0001.jpg": b"first page" * 1000, "0002.jpg": b"second page" * 1000, "空.txt": b""}


def statuses(outcomes: list) -> list[str]:  # type: ignore[type-arg]
    return [outcome.status for outcome in outcomes]


def is_whole(tier: StorageTier, archive: Archive, name: str = NAME, number: int = 1) -> bool:
    with archive.catalog() as catalog:
        record = catalog.find_object(next(iter(archive.owed(name))).object_id) if archive.owed(name) else None
        record = record or (catalog.list_objects(limit=1) and catalog.find_object(catalog.list_objects(limit=1)[0].id))
    assert record
    expected = ExpectedVersion(
        object_id=record.id,
        ref=archive.ref(name, number),
        inventory_digest=record.versions[number - 1].inventory_digest,
    )
    return tier.verify_version(expected, depth=Depth.FULL, stop=StopToken()).state is FixityState.VERIFIED


class TamperingTier(ForwardingTier):
    """Stores something else than it was given, as a line or a controller that flips bits would, for `times` puts."""

    def __init__(self, inner: MemoryTier, *, times: int = 1) -> None:
        super().__init__(inner)
        self._memory, self._times = inner, times

    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        placed = super().put_version(source, stop=stop)
        if self._times:
            self._times -= 1
            ref = next(iter(self._memory.list_versions()))
            version = self._memory.open_version(ref)
            path = max(version.files)
            data = bytearray(version.files[path] or b"x")
            data[0] ^= 1
            self._memory.versions[ref] = replace(version, files={**version.files, path: bytes(data)})
        return placed


class SlowTier(ForwardingTier):
    """Takes its time with every put, as a far one does."""

    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        stop.wait(0.1)
        return super().put_version(source, stop=stop)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Two further tiers: a disk and one in memory."""
    second = create_disk_tier(tmp_path / "second", name="second", institution="1")
    return Archive(tmp_path, {"second": second, "far": memory_tier("far")})


def test_every_tier_gets_a_copy_that_was_read_back(archive: Archive) -> None:
    archive.ingest(NAME, FILES)
    assert [transfer.tier for transfer in archive.owed(NAME)] == ["far", "second"]
    assert statuses(archive.replicate()) == ["copied", "copied"]
    assert {key: copy.state for key, copy in archive.copies(NAME).items()} == {
        ("primary", 1): CopyState.VERIFIED,  # it was read in full on the way
        ("second", 1): CopyState.VERIFIED,
        ("far", 1): CopyState.VERIFIED,
    }
    assert archive.owed(NAME) == []
    assert all(is_whole(archive.others[name], archive) for name in archive.others)  # type: ignore[arg-type]


def test_versions_follow_each_other_and_only_new_ones_are_sent(archive: Archive) -> None:
    archive.ingest(NAME, FILES)
    archive.ingest(NAME, {**FILES, "0003.jpg": b"third"})
    assert statuses(archive.replicate("second")) == ["copied", "copied"]
    archive.ingest(NAME, {**FILES, "0004.jpg": b"fourth"})
    (outcome,) = archive.replicate("second")
    assert (outcome.transfer.version, outcome.status) == (3, TransferStatus.COPIED)


def test_what_two_tiers_are_owed_of_one_object_is_sent_once_to_each(archive: Archive) -> None:
    """Its versions alternate between the tiers in the queue; several threads must not do the same work twice."""
    clock = SteppingClock()
    for number in range(4):
        archive.ingest(NAME, {**FILES, f"{number}.jpg": bytes([number]) * 1000}, clock=clock)
    archive.others = {name: SlowTier(tier) for name, tier in archive.others.items()}  # type: ignore[arg-type]
    assert statuses(archive.replicate(parallel=4)) == ["copied"] * 8


def test_running_it_again_does_nothing(archive: Archive) -> None:
    archive.ingest(NAME, FILES)
    archive.replicate()
    assert archive.replicate() == []


def test_what_is_there_already_is_read_back_before_it_counts(archive: Archive) -> None:
    """A16: the copy was made and the answer lost, or we were killed before it was recorded."""
    archive.ingest(NAME, FILES)
    with archive.primary.open_version(archive.ref(NAME)) as source:
        archive.others["far"].put_version(source, stop=StopToken())  # type: ignore[union-attr]
    assert statuses(archive.replicate("far")) == ["already present"]
    assert archive.copies(NAME)["far", 1].state is CopyState.VERIFIED
    assert archive.copies(NAME)["primary", 1].state is CopyState.STORED  # its content was not read this time


def test_a_lost_answer_makes_no_second_copy(tmp_path: Path) -> None:
    """A16."""
    far = memory_tier("far")
    with FaultyTier(far, Fault(call="put_version", after=True)) as faulty:
        archive = Archive(tmp_path, {"far": faulty})
        archive.ingest(NAME, FILES)
        assert statuses(archive.replicate()) == ["target failed"]
        assert statuses(archive.replicate()) == ["already present"]
    assert len(list(far.list_versions())) == 1


def test_a_copy_that_changed_in_transit_never_counts(tmp_path: Path) -> None:
    """A1: it is moved out of the way with a note, reported, and sent again by the next run."""
    far = memory_tier("far")
    archive = Archive(tmp_path, {"far": TamperingTier(far)})
    archive.ingest(NAME, FILES)
    (outcome,) = archive.replicate()
    assert outcome.status is TransferStatus.TARGET_FAILED
    assert "not what was sent" in str(outcome.error)
    assert ("far", 1) not in archive.copies(NAME)
    assert list(far.list_versions()) == []
    assert [transfer.attempts for transfer in archive.owed(NAME)] == [1]
    assert statuses(archive.replicate()) == ["copied"]
    assert is_whole(far, archive)


def test_what_a_tier_gives_up_with_a_bad_version_is_owed_again(archive: Archive) -> None:
    """A1, on a disk: an older version is bad; only the whole object can be moved away, so all of it is owed again."""
    archive.ingest(NAME, FILES)
    archive.ingest(NAME, {**FILES, "new": b"new"})
    archive.replicate("second")
    root = archive.folder / "second" / archive.ref(NAME).object_path
    flip_a_byte(root / "v1/content/data/0001.jpg")
    with archive.catalog() as catalog:
        object_id = catalog.list_objects(limit=1)[0].id
        catalog.transfers.requeue(object_id, [1], tier="second")
    (outcome,) = archive.replicate("second")
    assert outcome.status is TransferStatus.TARGET_FAILED
    assert not root.exists()
    assert [(transfer.tier, transfer.version) for transfer in archive.owed(NAME) if transfer.tier == "second"] == [
        ("second", 1),
        ("second", 2),
    ]
    assert statuses(archive.replicate("second")) == ["copied", "copied"]


def test_a_damaged_source_is_refused_and_the_good_replica_stays_as_it_is(archive: Archive) -> None:
    """A10: the damaged copy is known as such, and another source is taken."""
    archive.ingest(NAME, FILES)
    archive.replicate("second")
    flip_a_byte(archive.stored_file(NAME, "0001.jpg"))
    (outcome,) = archive.replicate("far")
    assert (outcome.status, outcome.source) == (TransferStatus.COPIED, "second")
    assert archive.copies(NAME)["primary", 1].state is CopyState.DAMAGED
    assert archive.copies(NAME)["second", 1].state is CopyState.VERIFIED
    with archive.catalog() as catalog:
        event = next(e for e in catalog.list_events(limit=10) if e.type is EventType.FIXITY_CHECK)
    assert (event.outcome, event.tier) == (EventOutcome.FAILURE, "primary")
    assert is_whole(archive.others["far"], archive)  # type: ignore[arg-type]


def test_without_a_good_source_nothing_is_copied_and_that_is_said(archive: Archive) -> None:
    """A10."""
    archive.ingest(NAME, FILES)
    flip_a_byte(archive.stored_file(NAME, "0002.jpg"))
    (outcome,) = archive.replicate("far")
    assert outcome.status is TransferStatus.SOURCE_FAILED
    assert "0002.jpg" in str(outcome.error)
    assert list(archive.others["far"].list_versions()) == []  # type: ignore[union-attr]
    (again,) = archive.replicate("far")
    assert again.status is TransferStatus.SOURCE_FAILED
    assert "There is no copy to read from" in str(again.error)


def test_a_damaged_object_does_not_keep_the_others_from_being_copied(archive: Archive) -> None:
    for name in ("a", "b", "c"):
        archive.ingest(name, FILES)
    flip_a_byte(archive.stored_file("b", "0001.jpg"))
    assert sorted(statuses(archive.replicate("far", parallel=3))) == ["copied", "copied", "source failed"]


def test_another_object_under_the_name_is_a_conflict_that_a_person_must_see(archive: Archive) -> None:
    """A15: nothing is overwritten, and it is not tried again by itself."""
    archive.ingest(NAME, FILES)
    other = make_version(files={"data/other": b"other"}, identifier=uri_of(NAME))
    far = archive.others["far"]
    far.put_version(other, stop=StopToken())  # type: ignore[union-attr]
    (outcome,) = archive.replicate("far")
    assert outcome.status is TransferStatus.CONFLICT
    assert far.stat_version(archive.ref(NAME)) == other.summary  # type: ignore[union-attr]
    assert [t.state for t in archive.owed(NAME) if t.tier == "far"] == [TransferState.CONFLICT]
    assert archive.replicate("far") == []
    assert statuses(archive.replicate("far", object_name=NAME)) == ["conflict"]


def test_a_valid_object_stored_under_every_name_is_caught(tmp_path: Path) -> None:
    """A15: the copy must be this object, not only a good one."""

    class OneForAll(ForwardingTier):
        def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
            placed = super().put_version(source, stop=stop)
            first = next(iter(far.versions.values()))  # a dict keeps the order in which things came
            for ref in far.versions:
                far.versions[ref] = first
            return placed

    far = memory_tier("far")
    archive = Archive(tmp_path, {"far": OneForAll(far)})
    for name in ("a", "b"):
        archive.ingest(name, FILES)
    assert sorted(statuses(archive.replicate())) == ["copied", "target failed"]


def test_a_target_that_is_gone_is_one_state_and_catches_up_by_itself(tmp_path: Path) -> None:
    """A22: the lag is visible all the while."""
    gone = True

    def open_far() -> StorageTier:
        if gone:
            raise TierUnavailableError("The line is cut", where="far")
        return far

    far = memory_tier("far")
    archive = Archive(tmp_path, {"far": open_far})
    for number in range(5):
        archive.ingest(f"o{number}", FILES)
        assert archive.replicate() == []
        assert str(archive.down["far"]).startswith("The line is cut")
    with archive.catalog() as catalog:
        (total,) = catalog.transfers.totals()
        assert (total.copies, total.state) == (5, TransferState.WAITING)
        assert total.oldest is not None
        failures = [event for event in catalog.list_events(limit=100) if event.outcome is EventOutcome.FAILURE]
    assert failures == []  # one state of the tier, not a finding for each object
    gone = False
    assert statuses(archive.replicate()) == ["copied"] * 5


def test_a_target_that_goes_away_in_the_middle_is_left_alone(tmp_path: Path) -> None:
    """A11, A22: the copies that wait behind it cost nothing and stay owed."""

    def cut() -> Exception:
        return TierUnavailableError("The line was cut", where="far")

    far = memory_tier("far")
    with FaultyTier(far, Fault(call="put_version", nth=3, error=cut)) as faulty:
        archive = Archive(tmp_path, {"far": faulty})
        for number in range(10):
            archive.ingest(f"o{number}", FILES)
        assert statuses(archive.replicate()) == ["copied", "copied", "target failed"]
        assert list(archive.down) == ["far"]
        assert statuses(archive.replicate()) == ["copied"] * 8


@pytest.mark.parametrize("error", [TierFullError, TierDeniedError])
def test_a_target_that_refuses_is_told_and_the_copy_stays_owed(tmp_path: Path, error: type[Exception]) -> None:
    """A11: full and denied are not the same as gone."""
    with FaultyTier(memory_tier("far"), Fault(call="put_version", error=lambda: error("refused"))) as far:
        archive = Archive(tmp_path, {"far": far})
        archive.ingest(NAME, FILES)
        (outcome,) = archive.replicate()
        assert (outcome.status, type(outcome.error)) == (TransferStatus.TARGET_FAILED, error)
        assert archive.down == {}
        assert statuses(archive.replicate()) == ["copied"]


def test_an_unmounted_source_is_not_a_damaged_one(archive: Archive) -> None:
    """A11: what could not be reached is not marked as bad; another source is taken."""
    archive.ingest(NAME, FILES)
    archive.replicate("second")
    shutil.move(archive.folder / "primary", archive.folder / "elsewhere")
    (outcome,) = archive.replicate("far")
    assert (outcome.status, outcome.source) == (TransferStatus.COPIED, "second")
    assert archive.copies(NAME)["primary", 1].state is CopyState.VERIFIED
    assert list(archive.down) == ["primary"]


def test_a_missing_file_of_the_source_is_damage(archive: Archive) -> None:
    """A11."""
    archive.ingest(NAME, FILES)
    archive.stored_file(NAME, "0001.jpg").unlink()
    assert statuses(archive.replicate("far")) == ["source failed"]
    assert archive.copies(NAME)["primary", 1].state is CopyState.DAMAGED


def test_the_most_endangered_object_is_copied_first(archive: Archive) -> None:
    archive.ingest("a", FILES)
    archive.replicate("second")
    archive.ingest("b", FILES)
    outcomes = archive.replicate("far")
    assert [outcome.transfer.object_id.uri for outcome in outcomes] == [uri_of("b"), uri_of("a")]


def test_a_limit_ends_the_run_and_the_next_goes_on(archive: Archive) -> None:
    for number in range(4):
        archive.ingest(f"o{number}", FILES)
    assert len(archive.replicate("far", limit_bytes=1)) == 1
    assert len(archive.replicate("far")) == 3


def test_a_stopped_run_begins_nothing_new(archive: Archive) -> None:
    archive.ingest(NAME, FILES)
    archive.stop.set()
    with pytest.raises(OperationCancelledError):
        archive.replicate("far")
    assert list(archive.others["far"].list_versions()) == []  # type: ignore[union-attr]


def test_what_is_not_public_is_never_put_into_a_public_zone(tmp_path: Path) -> None:
    """The wrapper of a public tier refuses it, even when a wrong policy asks for it."""
    far = memory_tier("far")
    archive = Archive(tmp_path, {"far": ZoneGuardedTier(far)}, wanted=everywhere("far"))
    archive.ingest(NAME, FILES)
    (outcome,) = archive.replicate()
    assert outcome.status is TransferStatus.CONFLICT
    assert list(far.list_versions()) == []


def test_a_policy_that_changed_meanwhile_is_asked_again(tmp_path: Path) -> None:
    """The copy was owed when the object was taken in; before it is sent, that is asked once more."""
    far, answers = memory_tier("far"), [("primary", "far")]

    def wanted(_metadata: Metadata) -> tuple[str, ...]:
        return answers[-1]

    archive = Archive(tmp_path, {"far": far}, wanted=wanted)
    archive.ingest(NAME, FILES)
    answers.append(("primary",))
    assert archive.replicate() == []
    assert list(far.list_versions()) == []


def test_two_runs_at_once_do_no_harm(tmp_path: Path) -> None:
    """The second one begins while the first is putting the same object: one stores it, the other finds it there."""
    far = memory_tier("far")
    outcomes: list[list[str]] = []

    class Overtaken(ForwardingTier):
        def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
            if not outcomes:
                outcomes.append([])
                outcomes[0] = statuses(archive.replicate())
            return super().put_version(source, stop=stop)

    archive = Archive(tmp_path, {"far": Overtaken(far)})
    archive.ingest(NAME, FILES)
    mine = statuses(archive.replicate())
    assert (mine, outcomes) == (["already present"], [["copied"]])
    with archive.catalog() as catalog:
        assert catalog.recount()[1] == [total for total in catalog.tier_totals() if total.copies]


def test_a_lost_primary_is_filled_again_from_the_others(tmp_path: Path) -> None:
    """What a tier holds and the primary lacks, the primary is owed."""
    second = create_disk_tier(tmp_path / "second", name="second", institution="1")
    archive = Archive(tmp_path, {"second": second})
    archive.ingest(NAME, FILES)
    archive.ingest(NAME, {**FILES, "new": b"new"})
    archive.replicate()
    shutil.rmtree(archive.folder / "primary")
    create_disk_tier(archive.folder / "primary", name="primary", institution="1")
    (archive.folder / "catalogue.sqlite").unlink()
    _rebuild(archive, {"second": open_disk_tier(tmp_path / "second", name="second")})
    assert [transfer.tier for transfer in archive.owed(NAME)] == ["primary", "primary"]
    assert statuses(archive.replicate("primary")) == ["copied", "copied"]
    assert archive.stored_file(NAME, "0001.jpg").read_bytes() == FILES["0001.jpg"]


def _rebuild(archive: Archive, tiers: Mapping[str, StorageTier]) -> None:
    from recovery.rebuild import rebuild_catalog

    assert archive.wanted is not None
    catalog = Catalog(archive.url, wanted=archive.wanted)
    catalog.create()
    for name in ("primary", *archive.others):
        catalog.register_tier(name, uuid=f"uuid of {name}", kind="test")
    with catalog:
        for tier in tiers.values():
            assert [found.error for found in rebuild_catalog(catalog, tier, stop=StopToken())] == [None]
