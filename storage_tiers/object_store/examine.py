"""What is asked of an object store besides the contract: what its server can do now, and whether its lock holds."""

from dataclasses import dataclass

from repository.clock import Clock
from storage_tiers.object_store.lock import WormAttempt, locks_by_itself, probe_worm
from storage_tiers.object_store.rules import StoreFeatures
from storage_tiers.object_store.tier import ObjectStoreTier


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What came out.

    Args:
        features: what the server can do, noted in the bucket by now.
        noted_before: what was noted there.
        attempts: to destroy a locked canary; empty when the tier's settings lock nothing, or the bucket cannot lock.
        wants_lock: whether the tier's settings lock what is put there.
        keeps_everything: whether the bucket gives up nothing that is put there, so that no trial can be removed.
    """

    features: StoreFeatures
    noted_before: StoreFeatures
    attempts: tuple[WormAttempt, ...]
    wants_lock: bool
    keeps_everything: bool

    @property
    def lacks_lock(self) -> bool:
        """Whether a lock is wanted that the bucket cannot have."""
        return self.wants_lock and not self.features.object_lock


def examine(tier: ObjectStoreTier, *, clock: Clock) -> Examination:
    """Find out and note what the server can do, and try to break the lock where the tier has one.

    About 25 requests. A canary that is locked for a day stays in the bucket; the next examination removes it.

    Raises:
        TierError: the store could not be reached, or may not be written.
    """
    lock, noted_before = tier.rules.lock, tier.rules.features
    features = tier.refresh_features()
    attempts: tuple[WormAttempt, ...] = ()
    if lock is not None and features.object_lock:
        attempts = probe_worm(tier.bucket, tier.names.prefix, mode=lock.mode, clock=clock)
    return Examination(
        features=features,
        noted_before=noted_before,
        attempts=attempts,
        wants_lock=lock is not None,
        keeps_everything=lock is not None or (features.object_lock and locks_by_itself(tier.bucket)),
    )
