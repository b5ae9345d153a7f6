"""Any order of puts, quarantines, damage and reads leaves a driver in the state that a plain dictionary has."""

import shutil
import tempfile
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from repository.errors import CopyConflictError, NotFoundError, SourceReadError
from repository.stop import StopToken
from storage_tiers.disk.tier import create_disk_tier
from storage_tiers.fixity_outcome import Depth, FixityState
from storage_tiers.port import ExpectedVersion, PutStatus, StorageTier, VersionRef
from tests.contract.tiers import INSTITUTION, memory_tier
from tests.doubles.opened_versions import InMemoryVersion, make_version

OBJECTS = ("urn:example:a", "urn:example:ab", "urn:example:a:b")
VARIANTS = (b"", b"one text", b"another text")
NUMBERS = st.integers(1, 3)


def _histories() -> dict[tuple[str, bytes, int], InMemoryVersion]:
    """Of each object, a history for each variant: they are different objects under one name."""
    made = {}
    for identifier in OBJECTS:
        for variant in VARIANTS:
            previous = None
            for number in (1, 2, 3):
                files = {"data/a": variant, f"data/v{number}": variant + b"!" * number, "data/same": b"always"}
                previous = make_version(number, files, previous=previous, identifier=identifier)
                made[identifier, variant, number] = previous
    return made


VERSIONS = _histories()


class TierMachine(RuleBasedStateMachine):
    """A driver beside `expected`: ref -> the version that must lie there."""

    whole_object: ClassVar[bool]
    """Whether taking an older version away takes the whole object along."""

    def make(self) -> StorageTier:
        raise NotImplementedError

    @initialize()
    def begin(self) -> None:
        self.tier = self.make()
        self.expected: dict[VersionRef, InMemoryVersion] = {}

    @rule(identifier=st.sampled_from(OBJECTS), variant=st.sampled_from(VARIANTS), number=NUMBERS)
    def put(self, identifier: str, variant: bytes, number: int) -> None:
        version = VERSIONS[identifier, variant, number]
        before = self.expected.get(VersionRef(version.ref.object_path, number - 1))
        there = self.expected.get(version.ref)
        if there is not None and there.inventory_bytes != version.inventory_bytes:
            with pytest.raises(CopyConflictError):
                self.tier.put_version(version, stop=StopToken())
        elif there is None and number > 1 and before is None:
            with pytest.raises(NotFoundError):
                self.tier.put_version(version, stop=StopToken())
        elif there is None and before not in (None, VERSIONS.get((identifier, variant, number - 1))):
            self.put_a_stranger(version)
        else:
            status = self.tier.put_version(version, stop=StopToken()).status
            assert status is (PutStatus.STORED if there is None else PutStatus.ALREADY_PRESENT)
            self.expected[version.ref] = version

    def put_a_stranger(self, version: InMemoryVersion) -> None:
        """The version of another history; a driver refuses it or, when it looks at names alone, we do not try it."""

    @rule(identifier=st.sampled_from(OBJECTS), number=NUMBERS, data=st.data())
    def put_what_is_damaged(self, identifier: str, number: int, data: st.DataObject) -> None:
        version = VERSIONS[identifier, b"one text", number]
        path = data.draw(st.sampled_from(sorted(path for path, size in version.sizes.items() if size)))
        if version.ref in self.expected or VersionRef(version.ref.object_path, 1) in self.expected:
            return
        with pytest.raises(SourceReadError if number == 1 else NotFoundError):
            self.tier.put_version(version.with_flipped_byte(path), stop=StopToken())

    @precondition(lambda self: self.expected)
    @rule(data=st.data())
    def take_away(self, data: st.DataObject) -> None:
        ref = data.draw(st.sampled_from(sorted(self.expected)))
        of_object = [each for each in self.expected if each.object_path == ref.object_path]
        self.tier.quarantine_version(ref, note={"why": "a trial"})
        gone = of_object if self.whole_object and ref != max(of_object) else [ref]
        for each in gone:
            del self.expected[each]

    @rule(identifier=st.sampled_from(OBJECTS), number=NUMBERS)
    def look_for(self, identifier: str, number: int) -> None:
        ref = VERSIONS[identifier, b"", number].ref
        wanted = self.expected.get(ref) or VERSIONS[identifier, b"", number]
        outcome = self.tier.verify_version(wanted.expected, depth=Depth.FULL, stop=StopToken())
        assert outcome.state is (FixityState.VERIFIED if ref in self.expected else FixityState.MISSING)
        other = ExpectedVersion(object_id=wanted.summary.id, ref=ref, inventory_digest="00")
        outcome = self.tier.verify_version(other, depth=Depth.FULL, stop=StopToken())
        assert outcome.state is (FixityState.MISMATCH if ref in self.expected else FixityState.MISSING)

    @invariant()
    def lists_what_is_there(self) -> None:
        assert list(self.tier.list_versions()) == sorted(self.expected)

    @precondition(lambda self: self.expected)
    @rule(data=st.data())
    def list_from_the_middle(self, data: st.DataObject) -> None:
        after = data.draw(st.sampled_from(sorted(self.expected)))
        assert list(self.tier.list_versions(after=after)) == sorted(ref for ref in self.expected if ref > after)

    @precondition(lambda self: self.expected)
    @rule(data=st.data())
    def read(self, data: st.DataObject) -> None:
        version = self.expected[data.draw(st.sampled_from(sorted(self.expected)))]
        assert self.tier.stat_version(version.ref) == version.summary
        with self.tier.open_version(version.ref) as opened:
            assert {path: stream.read() for path, stream in opened.contents(stop=StopToken())} == version.stored


class DiskMachine(TierMachine):
    whole_object = True

    def make(self) -> StorageTier:
        self.folder = Path(tempfile.mkdtemp(prefix="jindang-property-"))
        return create_disk_tier(self.folder / "tier", name="disk", institution=INSTITUTION)

    def put_a_stranger(self, version: InMemoryVersion) -> None:
        with pytest.raises(CopyConflictError):
            self.tier.put_version(version, stop=StopToken())

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            assert not (self.folder / "tier/extensions/jindang-staging").exists()
            shutil.rmtree(self.folder)


class MemoryMachine(TierMachine):
    whole_object = False

    def make(self) -> StorageTier:
        return memory_tier()


@pytest.mark.parametrize(("machine", "examples"), [(DiskMachine, 25), (MemoryMachine, 100)])
def test_a_driver_is_a_dictionary(machine: type[TierMachine], examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
