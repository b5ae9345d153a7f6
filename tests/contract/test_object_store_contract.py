"""A tier in an object store keeps every promise of the port; on moto here, on a real server by `tier validate`."""

import pytest

from repository.stop import StopToken
from storage_tiers.contract.checks import run_contract
from storage_tiers.contract.trial import TrialTier, require_trial
from storage_tiers.object_store.tier import ObjectStoreOptions, ObjectStoreTier
from storage_tiers.port import VersionRef
from storage_tiers.wrappers.forwarding import ForwardingTier
from tests.doubles.buckets import moto_endpoint, moto_options, new_tier

__all__ = ["moto_endpoint", "moto_options"]


class Removable(ForwardingTier):
    """Stands in for the driver's own `remove_trial` where it has none."""

    def __init__(self, inner: ObjectStoreTier) -> None:
        super().__init__(inner)
        self._keys, self._bucket = inner.names, inner.bucket

    def remove_trial(self, ref: VersionRef) -> None:
        require_trial(ref)
        for key in reversed(self._keys.of(ref).in_order):
            self._bucket.call("delete_object", key=key)


def test_an_object_store_keeps_the_contract_and_is_left_as_it_was(moto_options: ObjectStoreOptions) -> None:
    """A2, A10, A15."""
    pytest.importorskip("moto")
    with new_tier(moto_options) as tier:
        before = [each.key for each in tier.bucket.list("")]
        tried = tier if isinstance(tier, TrialTier) else Removable(tier)
        results = list(run_contract(tried, stop=StopToken()))
        assert [f"{result.name}: {result.detail}" for result in results if not result.passed] == []
        assert [each.key for each in tier.bucket.list("")] == before
