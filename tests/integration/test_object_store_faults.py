"""What goes wrong on the way to an object store and behind it: nothing false is stored, and the message says why."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from repository.errors import (
    CopyConflictError,
    RepositoryError,
    SourceReadError,
    TierDeniedError,
    TierFullError,
    TierUnavailableError,
)
from repository.stop import StopToken
from storage_tiers.fixity_outcome import Depth, FixityState
from storage_tiers.object_store import client, put
from storage_tiers.object_store.tier import ObjectStoreOptions, ObjectStoreTier, open_object_store
from storage_tiers.port import PutStatus
from tests.doubles.buckets import SteppedClock, copy_of, new_tier, raw_client
from tests.doubles.ceph import CephServer
from tests.doubles.opened_versions import InMemoryVersion, make_version
from tests.doubles.proxy import Answer, CutAnswer, CutRequest, DropAnswer, FlipByte, Hold, Proxy, faulty_proxy

ROOT = Path(__file__).resolve().parents[2]
PART_BYTES = 5 << 20  # the least that S3 allows; 16 MiB in earnest


@pytest.fixture
def options(tried_tier: ObjectStoreOptions) -> ObjectStoreOptions:
    """A bucket with a tier in it."""
    return copy_of(tried_tier)


@pytest.fixture
def proxy(options: ObjectStoreOptions) -> Iterator[Proxy]:
    with faulty_proxy(str(options.endpoint)) as proxy:
        yield proxy


@pytest.fixture
def tier(options: ObjectStoreOptions, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStoreTier]:
    """The tier as it is seen through the proxy, with short parts, and short waits between attempts."""
    monkeypatch.setattr("storage_tiers.object_store.multipart.MIN_PART_BYTES", PART_BYTES)
    monkeypatch.setattr("storage_tiers.object_store.writing.WHOLE_BYTES", PART_BYTES)
    for module in (client, put):
        monkeypatch.setattr(module, "RETRY_WAITS_S", (0.01, 0.02, 0.04))
    monkeypatch.setattr("storage_tiers.object_store.multipart.RETRY_WAITS_S", (0.01, 0.02, 0.04))
    tier = open_object_store(replace(options, endpoint=proxy.url), name="offsite", clock=SteppedClock())
    yield tier
    tier.close()


def small() -> InMemoryVersion:
    return make_version(1, {"data/a.txt": b"page", "data/b.bin": os.urandom(100_000)})


def large(parts: int = 3) -> InMemoryVersion:
    return make_version(1, {"data/film.mov": os.urandom(PART_BYTES * parts - (PART_BYTES >> 1))})


def open_with(options: ObjectStoreOptions, **changes: object) -> RepositoryError:
    with pytest.raises(RepositoryError) as caught:
        open_object_store(replace(options, **changes), name="offsite", clock=SteppedClock())
    return caught.value


def test_wrong_keys_are_told_as_such(options: ObjectStoreOptions) -> None:
    for changes in ({"access_key": "NOBODY"}, {"secret_key": "wrong"}):
        error = open_with(options, **changes)
        assert isinstance(error, TierDeniedError)
        assert "does not accept the keys" in str(error)
        assert "access_key and secret_key" in str(error.next_step)
        assert str(options.secret_key) not in f"{error!r} {error} {options!r}"


def test_a_bucket_that_is_not_there_is_told_with_what_to_do(options: ObjectStoreOptions) -> None:
    error = open_with(options, bucket="no-such-bucket")
    assert isinstance(error, TierUnavailableError)
    assert "There is no such bucket" in str(error)
    assert "make the bucket" in str(error.next_step)


def test_a_bucket_without_the_tier_is_not_taken_for_an_empty_tier(options: ObjectStoreOptions) -> None:
    error = open_with(options, prefix="elsewhere")
    assert isinstance(error, TierUnavailableError)
    assert "no jindang-tier.json" in str(error)


def test_an_untrusted_certificate_is_refused(ceph: CephServer, options: ObjectStoreOptions) -> None:
    error = open_with(options, endpoint=ceph.https)
    assert isinstance(error, TierDeniedError)
    assert "certificate could not be verified" in str(error)
    assert "ca_file" in str(error.next_step)


def test_a_ca_file_that_is_not_there_is_told(ceph: CephServer, options: ObjectStoreOptions, tmp_path: Path) -> None:
    error = open_with(options, endpoint=ceph.https, ca_file=str(tmp_path / "none.pem"))
    assert "none.pem" in str(error)


def test_a_clock_that_is_wrong_is_told_as_such(options: ObjectStoreOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.auth

    def ahead(*args: object, **named: object) -> datetime:
        return right(*args, **named) + timedelta(hours=1)

    right = botocore.auth.get_current_datetime
    monkeypatch.setattr(botocore.auth, "get_current_datetime", ahead)
    error = open_with(options)
    assert isinstance(error, TierDeniedError)
    assert "clocks of this machine and of the object store differ" in str(error)
    assert "set this machine's clock" in str(error.next_step)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://no-such-host.invalid:80"], ids=["down", "dns"])
def test_a_server_that_nobody_finds_is_one_alarm_at_once(options: ObjectStoreOptions, endpoint: str) -> None:
    error = open_with(options, endpoint=endpoint)
    assert isinstance(error, TierUnavailableError)
    assert "cannot be reached" in str(error)
    assert error.retryable


def test_an_endpoint_that_is_no_url_is_told(options: ObjectStoreOptions) -> None:
    assert "check endpoint" in str(open_with(options, endpoint="not a url").next_step)


@pytest.mark.parametrize(("status", "code"), [(500, "InternalError"), (503, "SlowDown"), (503, ""), (502, "")])
def test_an_overloaded_server_is_asked_again_and_then_told(
    tier: ObjectStoreTier, proxy: Proxy, status: int, code: str
) -> None:
    version = small()
    proxy.plan("PUT", ".zip", Answer(status, code), times=2)
    proxy.plan("GET", "summary", Answer(status, code), times=3)
    assert tier.put_version(version, stop=StopToken()).status is PutStatus.STORED
    assert tier.stat_version(version.ref) == version.summary
    proxy.plan("GET", "summary", Answer(status, code), times=4)
    with pytest.raises(TierUnavailableError, match="overloaded or has a fault"):
        tier.stat_version(version.ref)


def test_while_a_listing_is_read_errors_come_in_our_own_words(tier: ObjectStoreTier, proxy: Proxy) -> None:
    proxy.plan("GET", "list-type=2", Answer(503, "SlowDown"), times=4)
    with pytest.raises(TierUnavailableError, match="overloaded"):
        list(tier.list_versions())
    proxy.plan("GET", "list-type=2", CutAnswer(40), times=4)
    with pytest.raises(TierUnavailableError):
        list(tier.list_versions())


def test_a_full_bucket_is_told_and_nothing_of_the_version_is_seen(
    ceph: CephServer, options: ObjectStoreOptions
) -> None:
    """A21."""
    ceph.quota(options.bucket, max_size_bytes=200_000)
    with new_tier(options) as tier:
        assert tier.put_version(small(), stop=StopToken()).status is PutStatus.STORED
        more = make_version(1, {"data/b.bin": os.urandom(400_000)}, identifier="urn:example:more")
        with pytest.raises(TierFullError, match="no space left"):
            tier.put_version(more, stop=StopToken())
        assert list(tier.list_versions()) == [small().ref]


def test_bytes_that_are_altered_on_the_way_there_are_refused(tier: ObjectStoreTier, proxy: Proxy) -> None:
    """A1: the server compares what came with what was signed; sent again, they are right."""
    version = large(3)
    proxy.plan("PUT", "partNumber=2", FlipByte(5000), times=2)
    proxy.plan("PUT", "inventory.json", FlipByte(7))
    assert tier.put_version(version, stop=StopToken()).status is PutStatus.STORED
    assert tier.verify_version(version.expected, depth=Depth.FULL, stop=StopToken()).state is FixityState.VERIFIED


def test_a_way_that_always_alters_bytes_stores_nothing(tier: ObjectStoreTier, proxy: Proxy) -> None:
    """A1."""
    proxy.plan("PUT", ".zip", FlipByte(500), times=4)
    with pytest.raises(TierUnavailableError, match="did not arrive as they were sent"):
        tier.put_version(small(), stop=StopToken())
    assert [each.key for each in tier.bucket.list("") if "urn" in each.key] == []


def test_an_answer_that_is_cut_short_is_neither_healthy_nor_corrupt(tier: ObjectStoreTier, proxy: Proxy) -> None:
    """Half of a pack comes, with the whole length promised: nothing was learned about the copy."""
    version = small()
    tier.put_version(version, stop=StopToken())
    proxy.plan("GET", ".zip", CutAnswer(60_000), times=2)
    for _ in range(1):
        outcome = tier.verify_version(version.expected, depth=Depth.FULL, stop=StopToken())
        assert outcome.state is FixityState.UNAVAILABLE, outcome
    with tier.open_version(version.ref) as opened, pytest.raises(SourceReadError) as caught:
        opened.open("v1/content/data/b.bin").read()
    assert isinstance(caught.value.cause, TierUnavailableError)
    outcome = tier.verify_version(version.expected, depth=Depth.FULL, stop=StopToken())
    assert outcome.state is FixityState.VERIFIED, outcome


def test_a_connection_that_breaks_in_the_middle_of_a_part_is_made_anew(tier: ObjectStoreTier, proxy: Proxy) -> None:
    version = large(3)
    proxy.plan("PUT", "partNumber=2", CutRequest(3 << 20), times=3)
    assert tier.put_version(version, stop=StopToken()).status is PutStatus.STORED
    assert proxy.count("PUT", "partNumber=2") == 4
    assert tier.verify_version(version.expected, depth=Depth.FULL, stop=StopToken()).state is FixityState.VERIFIED


def test_when_it_goes_on_breaking_the_next_run_sends_the_rest(tier: ObjectStoreTier, proxy: Proxy) -> None:
    version = large(3)
    proxy.plan("PUT", "partNumber=3", CutRequest(1000), times=4)
    with pytest.raises(TierUnavailableError, match="broke off"):
        tier.put_version(version, stop=StopToken())
    assert list(tier.list_versions()) == []
    before = proxy.count("PUT", "partNumber")
    assert tier.put_version(version, stop=StopToken()).status is PutStatus.STORED
    assert proxy.count("PUT", "partNumber") - before == 1


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("parts", [0, 3], ids=["whole", "in parts"])
def test_when_the_answer_is_lost_the_retry_finds_it_and_makes_no_duplicate(
    tier: ObjectStoreTier, options: ObjectStoreOptions, proxy: Proxy, versioned: bool, parts: int
) -> None:
    """A16: each of the last requests was done, and its answer never came."""
    client = raw_client(options)
    if versioned:
        client.put_bucket_versioning(Bucket=options.bucket, VersioningConfiguration={"Status": "Enabled"})
    version = large(parts) if parts else small()
    proxy.plan("POST" if parts else "PUT", "uploadId=" if parts else ".zip", DropAnswer())
    proxy.plan("PUT", "inventory.json", DropAnswer())
    proxy.plan("PUT", "summary.json", DropAnswer())
    assert tier.put_version(version, stop=StopToken()).status is PutStatus.STORED
    stored = client.list_object_versions(Bucket=options.bucket, Prefix=tier.names.stem(version.ref))["Versions"]
    client.close()
    assert sorted(each["Key"] for each in stored) == sorted(tier.names.of(version.ref).in_order)
    assert tier.put_version(version, stop=StopToken()).status is PutStatus.ALREADY_PRESENT
    assert not tier.bucket.call("list_multipart_uploads").get("Uploads")


def test_somebody_who_is_faster_with_the_same_bytes_does_no_harm(
    tier: ObjectStoreTier, options: ObjectStoreOptions, proxy: Proxy
) -> None:
    """We have looked, and then somebody else puts it all; with other bytes it would be a conflict."""
    version, hold = small(), Hold(threading.Event())
    proxy.plan("PUT", ".zip", hold)
    with ThreadPoolExecutor(1) as executor, new_tier(options) as other:
        slow = executor.submit(tier.put_version, version, stop=StopToken())
        assert hold.arrived.wait(30)
        other.put_version(version, stop=StopToken())
        hold.go_on.set()
        assert slow.result(30).location is not None
    assert tier.verify_version(version.expected, depth=Depth.FULL, stop=StopToken()).state is FixityState.VERIFIED


def test_somebody_who_is_faster_with_other_bytes_is_a_conflict(
    tier: ObjectStoreTier, options: ObjectStoreOptions, proxy: Proxy
) -> None:
    version, hold = small(), Hold(threading.Event())
    proxy.plan("PUT", ".zip", hold)
    with ThreadPoolExecutor(1) as executor, new_tier(options) as other:
        slow = executor.submit(tier.put_version, version, stop=StopToken())
        assert hold.arrived.wait(30)
        other.put_version(make_version(1, {"data/b.txt": b"other"}), stop=StopToken())
        hold.go_on.set()
        with pytest.raises(CopyConflictError):
            slow.result(30)


def test_after_a_kill_only_the_missing_parts_are_sent(
    tier: ObjectStoreTier, options: ObjectStoreOptions, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child is killed in the middle of a pack of 100 MiB; nothing on our side remembers what it sent."""
    monkeypatch.undo()
    hold = Hold(threading.Event())
    proxy.plan("PUT", "partNumber=5", hold)
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, proxy.url, options.bucket, str(options.access_key), str(options.secret_key)],
        cwd=ROOT,
    )
    assert hold.arrived.wait(60)
    while proxy.count("PUT", "partNumber") < 5:
        assert child.poll() is None
        threading.Event().wait(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    hold.go_on.set()
    upload = tier.bucket.call("list_multipart_uploads")["Uploads"][0]
    present = tier.bucket.call("list_parts", key=upload["Key"], UploadId=upload["UploadId"]).get("Parts", [])
    before = proxy.count("PUT", "partNumber")
    version = deterministic_version()
    assert list(tier.list_versions()) == []
    assert tier.put_version(version, stop=StopToken()).status is PutStatus.STORED
    sent = proxy.count("PUT", "partNumber") - before
    assert len(present) >= 3
    assert sent <= 7 - len(present)
    assert tier.verify_version(version.expected, depth=Depth.FULL, stop=StopToken()).state is FixityState.VERIFIED
    assert not tier.bucket.call("list_multipart_uploads").get("Uploads")


def deterministic_version() -> InMemoryVersion:
    import random

    return make_version(1, {"data/film.mov": random.Random(7).randbytes(100 << 20)})


_CHILD = """
import sys
from repository.clock import SystemClock
from repository.stop import StopToken
from storage_tiers.object_store.tier import ObjectStoreOptions, open_object_store
from tests.integration.test_object_store_faults import deterministic_version
endpoint, bucket, access_key, secret_key = sys.argv[1:]
options = ObjectStoreOptions(endpoint=endpoint, bucket=bucket, prefix="tier", access_key=access_key,
                             secret_key=secret_key, parallel=2)
tier = open_object_store(options, name="offsite", clock=SystemClock())
tier.put_version(deterministic_version(), stop=StopToken())
"""


def test_uploads_that_nobody_came_back_for_are_removed(
    tier: ObjectStoreTier, options: ObjectStoreOptions, proxy: Proxy
) -> None:
    """Young ones stay: somebody may be at work."""
    proxy.plan("PUT", "partNumber=2", Answer(403, "AccessDenied"))
    with pytest.raises(TierDeniedError):
        tier.put_version(large(3), stop=StopToken())
    assert tier.abort_stale_uploads(older_than=timedelta(hours=1)) == 0
    later = SteppedClock()
    later.ahead = timedelta(days=8)
    with new_tier(options, later) as other:
        assert other.abort_stale_uploads(older_than=timedelta(days=7)) == 1
    assert not tier.bucket.call("list_multipart_uploads").get("Uploads")


def test_a_stopped_upload_goes_on_where_it_was(tier: ObjectStoreTier, proxy: Proxy) -> None:
    version, stop, hold = large(4), StopToken(), Hold(threading.Event())
    proxy.plan("PUT", "partNumber=2", hold)
    with ThreadPoolExecutor(1) as executor:
        put = executor.submit(tier.put_version, version, stop=stop)
        assert hold.arrived.wait(30)
        stop.set()
        hold.go_on.set()
        error = put.exception(30)
    if error is None:
        pytest.skip("all parts were on their way before the stop was seen")
    assert error.exit_code == 130
    before = proxy.count("PUT", "partNumber")
    assert tier.put_version(version, stop=StopToken()).status is PutStatus.STORED
    assert proxy.count("PUT", "partNumber") - before < 4
