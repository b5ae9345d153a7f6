"""What needs no honest server: paging, order, and a server that believes everything (moto) is found out."""

from dataclasses import replace

from repository.stop import StopToken
from storage_tiers.fixity_outcome import Depth, FixityState
from storage_tiers.object_store.put import head_or_none
from storage_tiers.object_store.tier import ObjectStoreOptions
from storage_tiers.port import PutStatus, VersionRef
from tests.doubles.buckets import moto_endpoint, moto_options, new_tier, raw_client
from tests.doubles.opened_versions import make_version

__all__ = ["moto_endpoint", "moto_options"]  # fixtures, used by name


def test_a_listing_of_several_pages_is_complete_and_in_order(moto_options: ObjectStoreOptions) -> None:
    """`v10` after `v2`; what is not a version, or not finished, is not listed."""
    client = raw_client(moto_options)
    refs = [VersionRef(f"a/{n:02d}", v) for n in range(30) for v in range(1, 13)]
    with new_tier(moto_options) as tier:
        for ref in refs:
            client.put_object(Bucket=moto_options.bucket, Key=tier.names.of(ref).summary, Body=b"")
        for ref in (VersionRef("a/05", 13), VersionRef("b", 1)):
            client.put_object(Bucket=moto_options.bucket, Key=tier.names.of(ref).pack, Body=b"")
        client.put_object(Bucket=moto_options.bucket, Key="other/a/v1.summary.json", Body=b"")
        assert list(tier.list_versions()) == refs
        assert list(tier.list_versions(after=refs[77])) == refs[78:]
        assert len(list(tier.bucket.list("tier/", page_keys=7))) == len(refs) + 5
    client.close()


def test_a_server_that_checks_nothing_is_found_out(moto_options: ObjectStoreOptions) -> None:
    with new_tier(moto_options) as tier:
        found = tier.capabilities.found
        assert not found["signed_payload"]
        assert not found["content_md5"]
        assert not tier.capabilities.server_checksum
        assert found["if_none_match"]
        assert found["ranges"]


def test_an_interrupted_put_is_finished_with_what_is_missing(moto_options: ObjectStoreOptions) -> None:
    version, client = make_version(), raw_client(moto_options)
    with new_tier(moto_options) as tier:
        tier.put_version(version, stop=StopToken())
        keys = tier.names.of(version.ref)
        for missing in (keys.in_order[2:], keys.in_order[1:], (keys.pack,), (keys.inventory,)):
            for key in missing:
                client.delete_object(Bucket=moto_options.bucket, Key=key)
            assert tier.put_version(version, stop=StopToken()).status is PutStatus.STORED
            assert all(head_or_none(tier.bucket, key) for key in keys.in_order)
            outcome = tier.verify_version(version.expected, depth=Depth.FULL, stop=StopToken())
            assert outcome.state is FixityState.VERIFIED
    client.close()


def test_a_summary_that_lost_its_label_is_still_enough(moto_options: ObjectStoreOptions) -> None:
    """Other programs copy objects without our metadata."""
    version, client = make_version(), raw_client(moto_options)
    with new_tier(moto_options) as tier:
        tier.put_version(version, stop=StopToken())
        key = tier.names.of(version.ref).summary
        data = client.get_object(Bucket=moto_options.bucket, Key=key)["Body"].read()
        client.put_object(Bucket=moto_options.bucket, Key=key, Body=data)
        for depth in Depth:
            outcome = tier.verify_version(version.expected, depth=depth, stop=StopToken())
            assert outcome.state is FixityState.VERIFIED
        wrong = replace(version.expected, inventory_digest="0" * 128)
        assert tier.verify_version(wrong, depth=Depth.FULL, stop=StopToken()).state is FixityState.MISMATCH
    client.close()
