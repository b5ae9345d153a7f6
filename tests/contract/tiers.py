"""The tiers on which the contract is tried: every driver, and every wrapper that hands everything on.

A new driver or wrapper gets a line in `TIERS`; whatever tests run over all of them then run over it.
"""

from collections.abc import Callable
from pathlib import Path

from repository.clock import SystemClock
from repository.stop import StopToken
from storage_tiers.disk.tier import create_disk_tier
from storage_tiers.identity import TierIdentity
from storage_tiers.memory import MemoryTier
from storage_tiers.port import StorageTier
from storage_tiers.wrappers.metering import MeteredTier
from storage_tiers.wrappers.retry import RetryingTier
from storage_tiers.wrappers.throttle import ThrottledTier
from storage_tiers.wrappers.zone_guard import ZoneGuardedTier
from tests.doubles.faulty_tier import FaultyTier

INSTITUTION = "120000"


def memory_tier() -> MemoryTier:
    return MemoryTier(identity=TierIdentity.new("memory", institution=INSTITUTION))


TIERS: dict[str, Callable[[Path], StorageTier]] = {
    "disk": lambda folder: create_disk_tier(folder / "tier", name="disk", institution=INSTITUTION),
    "memory": lambda _: memory_tier(),
    "retrying": lambda _: RetryingTier(memory_tier(), stop=StopToken()),
    "throttled": lambda _: ThrottledTier(memory_tier(), rate_bps=10**12, clock=SystemClock(), stop=StopToken()),
    "metered": lambda _: MeteredTier(memory_tier()),
    "zone guarded": lambda _: ZoneGuardedTier(memory_tier()),
    "faulty without faults": lambda _: FaultyTier(memory_tier()),
}
"""Name -> makes an empty tier; the folder is the test's own."""

DRIVERS = ("disk", "memory")
"""Of these, the ones that store something themselves."""
