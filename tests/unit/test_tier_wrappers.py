"""Retry, throttle, read-only, metering and zone guard: each changes one thing, and hands everything else on."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from repository.errors import (
    NotFoundError,
    OperationCancelledError,
    PlacementError,
    RepositoryError,
    SourceReadError,
    TierDeniedError,
    TierFullError,
    TierUnavailableError,
)
from repository.model import Metadata, OpeningStatus, SecurityClass
from repository.stop import StopToken
from storage_tiers.fixity_outcome import Depth
from storage_tiers.port import PutStatus
from storage_tiers.wrappers.metering import MeteredTier
from storage_tiers.wrappers.read_only import ReadOnlyTier
from storage_tiers.wrappers.retry import RetryingTier
from storage_tiers.wrappers.throttle import ThrottledTier, TokenBucket
from storage_tiers.wrappers.zone_guard import ZoneGuardedTier
from tests.contract.tiers import memory_tier
from tests.doubles.faulty_tier import Fault, FaultyTier
from tests.doubles.opened_versions import make_version


class Waits(StopToken):
    """A token that does not wait, and keeps account; the clock of these tests goes on by its waits alone."""

    def __init__(self, *, stop_at: int | None = None) -> None:
        super().__init__()
        self.waits: list[float] = []
        self.now_s = 100.0
        self._stop_at = stop_at
        self._lock = threading.Lock()

    def wait(self, seconds: float) -> bool:
        with self._lock:
            self.waits.append(seconds)
            self.now_s += seconds
            if len(self.waits) == self._stop_at:
                self.set()
        return self.is_set

    def monotonic_s(self) -> float:
        return self.now_s

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)


# retry


def test_what_fails_for_the_moment_is_tried_again_after_longer_and_longer_waits() -> None:
    stop, version = Waits(), make_version()
    with FaultyTier(memory_tier(), *(Fault(call="put_version", nth=nth) for nth in (1, 2, 3))) as faulty:
        tier = RetryingTier(faulty, stop=stop, attempts=4, first_wait_s=2, longest_wait_s=5)
        assert tier.put_version(version, stop=stop).status is PutStatus.STORED
    assert stop.waits == [2, 4, 5]


def test_a_lost_answer_makes_no_duplicate() -> None:
    """A16."""
    stop, version = Waits(), make_version()
    with FaultyTier(memory_tier(), Fault(call="put_version", after=True)) as faulty:
        tier = RetryingTier(faulty, stop=stop)
        assert tier.put_version(version, stop=stop).status is PutStatus.ALREADY_PRESENT
    assert list(tier.list_versions()) == [version.ref]


def test_the_attempts_come_to_an_end() -> None:
    stop = Waits()
    plan = [Fault(call="usage", nth=nth) for nth in (1, 2, 3)]
    with FaultyTier(memory_tier(), *plan) as faulty, pytest.raises(TierUnavailableError):
        RetryingTier(faulty, stop=stop, attempts=3).usage()
    assert faulty.calls == {"usage": 3}
    assert len(stop.waits) == 2


def failed_source() -> RepositoryError:
    return SourceReadError(TierUnavailableError("the source is gone"))


@pytest.mark.parametrize(
    "error",
    [lambda: TierDeniedError("no"), lambda: NotFoundError("no"), lambda: KeyError("bug"), failed_source],
)
def test_what_will_not_change_is_not_tried_again(error: Callable[[], Exception]) -> None:
    stop = Waits()
    with FaultyTier(memory_tier(), Fault(call="put_version", error=error)) as faulty, pytest.raises(type(error())):
        RetryingTier(faulty, stop=stop).put_version(make_version(), stop=stop)
    assert faulty.calls == {"put_version": 1}
    assert stop.waits == []


def test_what_cannot_be_done_twice_is_not_repeated() -> None:
    """A quarantine whose answer was lost would look like a copy that was never there."""
    version, inner = make_version(), memory_tier()
    inner.put_version(version, stop=StopToken())
    with (
        FaultyTier(inner, Fault(call="quarantine_version", after=True)) as faulty,
        pytest.raises(TierUnavailableError),
    ):
        RetryingTier(faulty, stop=Waits()).quarantine_version(version.ref, note={})
    assert len(inner.quarantined) == 1


def test_waiting_ends_when_asked_to_stop() -> None:
    stop = Waits(stop_at=2)
    plan = [Fault(call="put_version", error=lambda: TierFullError("full"), nth=nth) for nth in (1, 2)]
    with FaultyTier(memory_tier(), *plan) as faulty, pytest.raises(OperationCancelledError):
        RetryingTier(faulty, stop=StopToken()).put_version(make_version(), stop=stop)


def test_a_listing_that_breaks_off_goes_on_after_the_last_that_came() -> None:
    inner = memory_tier()
    versions = [make_version(identifier=f"urn:example:{number}") for number in range(6)]
    for version in versions:
        inner.put_version(version, stop=StopToken())
    plan = [Fault(call="list_versions", nth=1, items=2), Fault(call="list_versions", nth=2, items=0)]
    with FaultyTier(inner, *plan, Fault(call="list_versions", nth=3, items=3)) as faulty:
        found = list(RetryingTier(faulty, stop=Waits(), attempts=3).list_versions())
    assert found == sorted(version.ref for version in versions)


def test_reading_is_tried_again_too() -> None:
    version, inner = make_version(), memory_tier()
    inner.put_version(version, stop=StopToken())
    with FaultyTier(inner, Fault(call="open_version"), Fault(call="stat_version")) as faulty:
        tier = RetryingTier(faulty, stop=Waits())
        assert tier.stat_version(version.ref) == version.summary
        assert tier.open_version(version.ref).inventory_bytes == version.inventory_bytes


def test_a_planned_fault_that_never_came_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="never came"), FaultyTier(memory_tier(), Fault(call="usage")):
        pass


# throttle


def test_putting_and_reading_share_one_rate() -> None:
    stop = Waits()
    version = make_version(1, {"data/a": bytes(50_000), "data/b": b"1" * 50_000})
    size = sum(version.sizes.values())
    tier = ThrottledTier(memory_tier(), rate_bps=1000, clock=stop, stop=stop)
    tier.put_version(version, stop=stop)
    assert stop.now_s - 100 == pytest.approx(size / 1000, abs=0.3)
    with tier.open_version(version.ref) as opened:
        for _, stream in opened.contents(stop=stop):
            while stream.read(4096):
                pass
        opened.open("v1/content/data/a", offset=0, length=1000).read()
    assert stop.now_s - 100 == pytest.approx((2 * size + 1000) / 1000, abs=0.3)


def test_what_verifying_read_is_paid_for_before_the_next() -> None:
    stop, version = Waits(), make_version(1, {"data/a": bytes(50_000)})
    inner = memory_tier()
    inner.put_version(version, stop=stop)
    tier = ThrottledTier(inner, rate_bps=1000, clock=stop, stop=stop)
    read_bytes = [tier.verify_version(version.expected, depth=Depth.FULL, stop=stop).read_bytes for _ in range(3)]
    assert stop.now_s - 100 == pytest.approx(sum(read_bytes[:2]) / 1000, abs=0.3)


def test_all_threads_share_the_rate() -> None:
    waits = Waits()
    bucket = TokenBucket(1000, clock=_Still())
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: bucket.take(100, stop=waits), range(40)))
    assert max(waits.waits) == pytest.approx(4.0 - 0.25, abs=0.26)


class _Still:
    def monotonic_s(self) -> float:
        return 0.0

    def now(self) -> datetime:
        raise NotImplementedError


def test_a_throttled_put_stops_when_asked() -> None:
    stop, inner = Waits(stop_at=1), memory_tier()
    tier = ThrottledTier(inner, rate_bps=10, clock=stop, stop=StopToken())
    with pytest.raises(OperationCancelledError):
        tier.put_version(make_version(), stop=stop)
    assert inner.versions == {}


def test_a_rate_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="lets nothing pass"):
        TokenBucket(0, clock=Waits())


# read-only, zone guard, metering


def test_a_tier_that_is_only_read_refuses_every_change() -> None:
    version, inner = make_version(), memory_tier()
    inner.put_version(version, stop=StopToken())
    tier = ReadOnlyTier(inner)
    for call in (
        lambda: tier.put_version(make_version(2, previous=version), stop=StopToken()),
        lambda: tier.quarantine_version(version.ref, note={}),
        lambda: tier.remove_trial(version.ref),
    ):
        with pytest.raises(TierDeniedError, match="only read"):
            call()
    assert list(tier.list_versions()) == [version.ref]
    assert tier.stat_version(version.ref) == version.summary


@pytest.mark.parametrize("security", SecurityClass)
@pytest.mark.parametrize("opening", OpeningStatus)
def test_only_what_is_public_goes_to_a_public_zone(security: SecurityClass, opening: OpeningStatus) -> None:
    metadata = Metadata(security_class=security, opening_status=opening)
    version, inner = make_version(metadata=metadata), memory_tier()
    unread = version.with_read_error("v1/content/data/a.txt")
    tier = ZoneGuardedTier(inner)
    if security is SecurityClass.PUBLIC and opening is OpeningStatus.OPEN:
        assert tier.put_version(version, stop=StopToken()).status is PutStatus.STORED
    else:
        with pytest.raises(PlacementError, match="zone `public`"):
            tier.put_version(unread, stop=StopToken())
        assert inner.versions == {}


def test_what_is_done_with_a_tier_is_counted() -> None:
    version = make_version(1, {"data/a": bytes(5000)})
    size = sum(version.sizes.values())
    with FaultyTier(memory_tier(), Fault(call="usage"), Fault(call="list_versions", items=1)) as faulty:
        tier = MeteredTier(faulty)
        tier.put_version(version, stop=StopToken())
        with tier.open_version(version.ref) as opened:
            opened.open("v1/content/data/a", length=70).read()
        outcome = tier.verify_version(version.expected, depth=Depth.FULL, stop=StopToken())
        with pytest.raises(TierUnavailableError):
            tier.usage()
        with pytest.raises(TierUnavailableError):
            list(tier.list_versions())
        with pytest.raises(NotFoundError):
            tier.quarantine_version(make_version(identifier="urn:example:none").ref, note={})
    counts = tier.counts()
    assert counts.written_bytes == size
    assert counts.read_bytes == 70 + outcome.read_bytes
    assert counts.errors == {"TierUnavailableError": 2, "NotFoundError": 1}
    assert counts.calls == dict.fromkeys(
        ("put_version", "open_version", "verify_version", "usage", "list_versions", "quarantine_version"), 1
    )
