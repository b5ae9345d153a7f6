"""Every tier keeps every promise of the port; and a tier that breaks one is caught."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import pytest

from repository.errors import InvalidInputError, NotFoundError, OperationCancelledError, TierDeniedError
from repository.model import VersionSummary
from repository.stop import StopToken
from storage_tiers.contract.checks import CHECKS, run_contract
from storage_tiers.contract.trial import trial_path
from storage_tiers.fixity_outcome import Depth, FixityOutcome
from storage_tiers.memory import MemoryTier, MemoryVersion
from storage_tiers.port import (
    Capabilities,
    ExpectedVersion,
    OpenedVersion,
    Placed,
    PutStatus,
    VersionRef,
)
from storage_tiers.wrappers.read_only import ReadOnlyTier
from tests.contract.tiers import TIERS, memory_tier
from tests.doubles.opened_versions import make_version

NAMES = [check.name for check in CHECKS]
RUN = "0" * 8 + "-0000" * 3 + "-" + "0" * 12


def everything_in(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize("kind", TIERS)
def test_a_tier_keeps_the_contract_and_is_left_as_it_was(kind: str, tmp_path: Path) -> None:
    """A10, A15, and the rest of what the port promises."""
    tier = TIERS[kind](tmp_path)
    before = everything_in(tmp_path)
    results = list(run_contract(tier, stop=StopToken()))
    assert [f"{result.name}: {result.detail}" for result in results if not result.passed] == []
    assert [result.name for result in results] == NAMES
    assert list(tier.list_versions()) == []
    assert everything_in(tmp_path) == before


# tiers that break a promise


class Overwrites(MemoryTier):
    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        self.versions.pop(VersionRef(source.summary.object_path, source.summary.record.number), None)
        return super().put_version(source, stop=stop)


class StoresDamaged(MemoryTier):
    """A1: what arrives is not what was sent."""

    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        placed = super().put_version(source, stop=stop)
        ref = VersionRef(source.summary.object_path, source.summary.record.number)
        files = {path: data[1:] for path, data in self.versions[ref].files.items()}
        self.versions[ref] = replace(self.versions[ref], files=files)
        return placed


class Unchecking(MemoryTier):
    """Takes whatever the source gives."""

    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        stop.check()
        ref = VersionRef(source.summary.object_path, source.summary.record.number)
        files = {path: source.open(path).read() for path in source.sizes}
        self.versions[ref] = MemoryVersion(
            summary=source.summary,
            inventory=source.inventory,
            inventory_bytes=source.inventory_bytes,
            sizes=source.sizes,
            files=files,
        )
        return Placed(status=PutStatus.STORED)


class TakesAnyOrder(MemoryTier):
    def _is_there(self, ref: VersionRef, source: OpenedVersion) -> bool:
        try:
            return super()._is_there(ref, source)
        except NotFoundError:
            return False


class ListsAsText(MemoryTier):
    """v10 before v2."""

    def list_versions(self, *, after: VersionRef | None = None) -> Iterator[VersionRef]:
        refs = super().list_versions(after=after)
        return iter(sorted(refs, key=lambda ref: (ref.object_path, str(ref.number))))


class RemovesByPrefix(MemoryTier):
    """A2."""

    def remove_trial(self, ref: VersionRef) -> None:
        super().remove_trial(ref)
        for other in list(self.versions):
            if other.object_path.startswith(ref.object_path):
                del self.versions[other]


class NeverVerifies(MemoryTier):
    """A9: takes a copy for good because it is there."""

    def verify_version(self, expected: ExpectedVersion, *, depth: Depth, stop: StopToken) -> FixityOutcome:
        return FixityOutcome()


class ForgetsTheStop(MemoryTier):
    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        return super().put_version(source, stop=StopToken())


class LeaksItsOwnErrors(MemoryTier):
    def stat_version(self, ref: VersionRef) -> VersionSummary:
        return self.versions[ref].summary


class ListsEarly(MemoryTier):
    """Shows a version while it is being put."""

    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        ref = VersionRef(source.summary.object_path, source.summary.record.number)
        if ref not in self.versions:
            self.versions[ref] = source  # type: ignore[assignment]
        for _, stream in source.contents(stop=stop):
            while stream.read(1 << 20):
                pass
        return Placed(status=PutStatus.STORED)


class RemovesRecords(MemoryTier):
    def remove_trial(self, ref: VersionRef) -> None:
        self.versions.pop(ref, None)


class LosesParts(MemoryTier):
    def open_version(self, ref: VersionRef, *, location: str | None = None) -> MemoryVersion:
        version = super().open_version(ref)
        return _OffByOne(**{name: getattr(version, name) for name in version.__dataclass_fields__})


class _OffByOne(MemoryVersion):
    def open(self, content_path: str, *, offset: int = 0, length: int | None = None) -> BinaryIO:
        return super().open(content_path, offset=offset + (offset > 0), length=length)


@pytest.mark.parametrize(
    ("kind", "caught"),
    [
        (Overwrites, "another version never takes the place"),
        (Overwrites, "the same again is already present"),
        (StoresDamaged, "what is put comes back"),
        (StoresDamaged, "versions follow one another"),
        (StoresDamaged, "a good copy is verified"),
        (StoresDamaged, "many may put the same"),
        (Unchecking, "a damaged source leaves nothing"),
        (ListsEarly, "a source that breaks off leaves nothing"),
        (Unchecking, "a source with a file left out leaves nothing"),
        (TakesAnyOrder, "a version out of order is refused"),
        (ListsAsText, "the list is in order"),
        (RemovesByPrefix, "neighbours are left alone"),
        (RemovesRecords, "neighbours are left alone"),
        (NeverVerifies, "a copy must be this version"),
        (NeverVerifies, "what is not there is told"),
        (ForgetsTheStop, "a stopped put leaves nothing"),
        (LeaksItsOwnErrors, "what is not there is told"),
        (ListsEarly, "a damaged source leaves nothing"),
        (LosesParts, "parts of files can be read"),
    ],
)
def test_a_broken_promise_is_caught(kind: type[MemoryTier], caught: str) -> None:
    tier = kind(identity=memory_tier().identity)
    results = {result.name: result for result in run_contract(tier, stop=StopToken())}
    assert not results[caught].passed
    assert results[caught].detail


def test_every_check_but_the_self_description_is_shown_to_catch_something() -> None:
    marks = test_a_broken_promise_is_caught.pytestmark  # type: ignore[attr-defined]
    assert set(NAMES) - {caught for _, caught in marks[0].args[1]} == {"the tier says what it is"}


# how it is run


class Locked(MemoryTier):
    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(immutable=True)


def test_a_tier_that_gives_up_nothing_is_not_tried() -> None:
    with pytest.raises(InvalidInputError, match="cannot be tried"):
        next(run_contract(Locked(identity=memory_tier().identity), stop=StopToken()))


def test_a_check_that_cannot_clean_up_has_failed() -> None:
    tier = ReadOnlyTier(memory_tier())
    result = next(run_contract(tier, stop=StopToken()))
    assert not result.passed
    assert "could not be removed" in result.detail


def test_a_stopped_run_leaves_nothing() -> None:
    tier, stop = memory_tier(), StopToken()
    results = run_contract(tier, stop=stop)
    next(results)
    stop.set()
    with pytest.raises(OperationCancelledError):
        next(results)
    assert tier.versions == {}


@pytest.mark.parametrize("kind", ["disk", "memory"])
@pytest.mark.parametrize(
    "path",
    ["", "abc/def/012/urn%3ax", f"jindang-contract-{RUN}", "jindang-contract-1/foo", f"x/{trial_path(RUN, 'foo')}",
     f"jindang-contract-{RUN}/../abc", f"jindang-contract-{RUN}/foo/bar", trial_path(RUN, "foo") + "\n"],
)  # fmt: skip
def test_nothing_but_a_trial_object_is_ever_removed(kind: str, path: str, tmp_path: Path) -> None:
    tier = TIERS[kind](tmp_path)
    with pytest.raises(TierDeniedError, match="Only trial objects"):
        tier.remove_trial(VersionRef(path, 1))  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_of_eight_who_put_the_same_one_stores_it(kind: str, tmp_path: Path) -> None:
    tier = TIERS[kind](tmp_path)
    first = make_version()
    for source in (first, make_version(2, previous=first)):
        with ThreadPoolExecutor(8) as threads:
            placed = list(threads.map(lambda _: tier.put_version(source, stop=StopToken()).status, range(8)))  # noqa: B023
        assert sorted(placed) == [PutStatus.ALREADY_PRESENT] * 7 + [PutStatus.STORED]
