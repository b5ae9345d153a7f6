"""Buckets and object store tiers for tests: on the real Ceph, or on moto, which is quick and believes everything."""

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from storage_tiers.identity import IDENTITY_FILE
from storage_tiers.object_store.client import Connection, _make_client
from storage_tiers.object_store.names import FEATURES_KEY, README_KEY
from storage_tiers.object_store.tier import ObjectStoreOptions, ObjectStoreTier, create_object_store
from tests.doubles.ceph import CephServer


class SteppedClock:
    """The real time, moved on by a test."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic_s(self) -> float:
        return self.ahead.total_seconds()


def new_bucket(options: ObjectStoreOptions, *, locked: bool = False) -> ObjectStoreOptions:
    """Make an empty bucket with a name of its own; the options are given back with it."""
    bucket = f"test-{uuid.uuid4().hex}"
    client = _make_client(Connection(**{**_fields(options.connection), "bucket": bucket}))
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=locked)
    client.close()
    return replace(options, bucket=bucket)


def options_for(ceph: CephServer, *, tls: bool = False) -> ObjectStoreOptions:
    """How the server is reached; without a bucket yet."""
    return ObjectStoreOptions(
        endpoint=ceph.https if tls else ceph.http,
        ca_file=ceph.ca_file if tls else None,
        bucket="",
        prefix="tier",
        access_key=ceph.access_key,
        secret_key=ceph.secret_key,
    )


@contextmanager
def new_tier(options: ObjectStoreOptions, clock: SteppedClock | None = None) -> Iterator[ObjectStoreTier]:
    """A tier in a bucket that is there; opened where it is one already."""
    tier = create_object_store(options, name="offsite", institution="津档", clock=clock or SteppedClock())
    try:
        yield tier
    finally:
        tier.close()


@pytest.fixture(scope="session")
def tried_tier(ceph: CephServer) -> ObjectStoreOptions:
    """An empty tier whose server was found out by trying, which takes most of the time of making one; to be copied."""
    options = new_bucket(options_for(ceph))
    with new_tier(options):
        return options


def copy_of(tier: ObjectStoreOptions) -> ObjectStoreOptions:
    """A bucket of its own with the same empty tier, in one request for each of its files."""
    options = new_bucket(tier)
    client = raw_client(options)
    for name in (README_KEY, FEATURES_KEY, IDENTITY_FILE):
        key = f"{options.names.prefix}{name}"
        client.copy_object(Bucket=options.bucket, Key=key, CopySource={"Bucket": tier.bucket, "Key": key})
    client.close()
    return options


def raw_client(options: ObjectStoreOptions) -> Any:
    """A boto3 client, for what a test does behind our back."""
    return _make_client(options.connection)


@pytest.fixture(scope="session")
def moto_endpoint() -> Iterator[str]:
    """The URL of a moto server in a thread of this process."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto_options(moto_endpoint: str) -> ObjectStoreOptions:
    """An empty bucket on moto."""
    options = ObjectStoreOptions(
        endpoint=moto_endpoint, bucket="", prefix="tier", access_key="test", secret_key="test"
    )
    return new_bucket(options)


def _fields(connection: Connection) -> dict[str, Any]:
    return {name: getattr(connection, name) for name in Connection.__dataclass_fields__}
