"""The requests that we make to an S3 server, through boto3, as they hold on every server that we know.

Payloads are signed and go with their MD5: those two every server checks (docs/design.md). Newer checksums are left
out, because older servers refuse or ignore them. Writing is never repeated blindly: see `object_store_upload`.
"""

import base64
import copy
import functools
import hashlib
import io
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from repository.errors import IntegrityError, TierError, TierUnavailableError
from repository.stop import StopToken
from storage_tiers.object_store.errors import store_errors

RETRY_WAITS_S = (0.2, 0.8, 3.2)
CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60

_SESSION_LOCK = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach a bucket.

    Args:
        endpoint: URL of the server; None for Amazon's own.
        access_key: with `secret_key`; None for both to let boto3 look for them (environment, instance role).
        ca_file: certificates of the authorities to trust instead of the system's.
        path_style: the bucket is named in the path, not in the host name.
        connections: how many are kept open.
    """

    endpoint: str | None
    bucket: str
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    path_style: bool = True
    connections: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """What the server says of one key.

    Args:
        etag: without its quotation marks.
        version_id: None in a bucket without versions.
        metadata: ours, names in lower case.
        retain_until: end of the object lock, aware; None where there is none.
    """

    key: str
    size_bytes: int
    etag: str
    version_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    retain_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests made, those that were repeated too, and bytes read from their answers."""

    operations: Mapping[str, int]
    read_bytes: int

    @property
    def requests(self) -> int:
        """All of them."""
        return sum(self.operations.values())


class _Meter:
    """Counts what goes through a bucket, and through the one that it is a view of."""

    def __init__(self, parent: "_Meter | None" = None) -> None:
        self._parent, self._lock = parent, threading.Lock()
        self._operations: Counter[str] = Counter()
        self._read_bytes = 0

    def count(self, *, operation: str | None = None, read_bytes: int = 0) -> None:
        with self._lock:
            self._read_bytes += read_bytes
            if operation is not None:
                self._operations[operation] += 1
        if self._parent is not None:
            self._parent.count(operation=operation, read_bytes=read_bytes)

    def traffic(self) -> Traffic:
        with self._lock:
            return Traffic(Counter(self._operations), self._read_bytes)


class _Client:
    """A boto3 client that is made when it is first wanted: importing boto3 takes half a second."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, threading.Lock()
        self._client: Any = None
        self.closing = StopToken()

    def get(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = _make_client(self._connection)
            return self._client

    def close(self) -> None:
        self.closing.set()
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


class Bucket:
    """One bucket of an object store. Safe to use from several threads; connections are shared and kept."""

    def __init__(self, connection: Connection) -> None:
        self.name = connection.bucket
        self.where = f"{connection.endpoint or 's3'}/{connection.bucket}"
        self._client, self._meter = _Client(connection), _Meter()

    def metered(self) -> "Bucket":
        """The same bucket with a count of its own; what goes through it is counted here too."""
        view = copy.copy(self)
        view._meter = _Meter(self._meter)  # noqa: SLF001 - one of ours
        return view

    def traffic(self) -> Traffic:
        """What went through it so far."""
        return self._meter.traffic()

    def call(self, operation: str, *, key: str | None = None, repeat: bool = True, **parameters: Any) -> Any:
        """Make one request, named as boto3 names it; repeated when the server is overloaded or the line broke.

        Args:
            operation: `head_object` and the like.
            key: that it is about, for messages and as a parameter.
            repeat: whether doing it twice does no harm.
            parameters: as boto3 takes them, without bucket and key; those that are None are left out.

        Raises:
            RepositoryError: see `object_store_errors`.
        """
        given = {name: value for name, value in parameters.items() if value is not None}
        if key is not None:
            given["Key"] = key
        where = self.where if key is None else f"{self.where}/{key}"
        waits = RETRY_WAITS_S if repeat else ()
        for wait_s in waits:
            try:
                return self._once(operation, given, where)
            except TierUnavailableError as error:
                if not _worth_repeating(error) or self._client.closing.wait(wait_s * random.uniform(0.5, 1.5)):  # noqa: S311
                    raise
        return self._once(operation, given, where)

    def head(self, key: str, *, version_id: str | None = None) -> StoredObject:
        """What the server says of an object. Raises NotFoundError."""
        return _stored(key, self.call("head_object", key=key, VersionId=version_id))

    def read(self, key: str, *, version_id: str | None = None, limit_bytes: int = 1 << 30) -> "SmallObject":
        """A small object, whole.

        Raises:
            NotFoundError: it is not there.
            TierUnavailableError: it was cut off; or longer than `limit_bytes`, which none of ours is.
        """
        response = self.call("get_object", key=key, VersionId=version_id)
        stored = _stored(key, response)
        with self._stream(response, f"{self.where}/{key}") as stream:
            if stored.size_bytes > limit_bytes:
                raise TierUnavailableError("An object is far larger than it can be", where=f"{self.where}/{key}")
            return SmallObject(stored=stored, data=stream.read())

    def open(
        self, key: str, *, offset: int = 0, length: int | None = None, version_id: str | None = None
    ) -> "ObjectStream":
        """An object or a part of it, as a stream; one request.

        Raises:
            NotFoundError: it is not there.
            IntegrityError: it ends before the part begins.
        """
        asked = None if offset == 0 and length is None else f"bytes={offset}-"
        if length is not None:
            asked = f"bytes={offset}-{offset + length - 1}"
        response = self.call("get_object", key=key, VersionId=version_id, Range=asked)
        found_bytes, where = response["ContentLength"], f"{self.where}/{key}"
        if length is not None and found_bytes != length:
            response["Body"].close()
            if found_bytes < length:
                raise IntegrityError("The stored object is shorter than it must be", where=where)
            raise TierError("The object store gives no parts of objects", where=where)
        return self._stream(response, where)

    def list(self, prefix: str, *, start_after: str | None = None, page_keys: int = 1000) -> Iterator[StoredObject]:
        """Every key that begins so, in the order of its bytes. Memory: one page."""
        token: str | None = None
        while True:
            page = self.call(
                "list_objects_v2",
                Prefix=prefix,
                MaxKeys=page_keys,
                StartAfter=start_after if token is None else None,
                ContinuationToken=token,
            )
            for each in page.get("Contents", ()):
                yield StoredObject(key=each["Key"], size_bytes=each["Size"], etag=each.get("ETag", "").strip('"'))
            token = page.get("NextContinuationToken")
            if not page.get("IsTruncated") or token is None:
                return

    def put(self, key: str, body: bytes | bytearray, *, md5: bytes, **parameters: Any) -> StoredObject:
        """Send one object, once. The caller decides what an error means: it may be there all the same.

        Args:
            key: its name.
            body: signed with its SHA-256.
            md5: of the body, which the server compares.
            parameters: as boto3's put_object takes them.

        Raises:
            CopyConflictError: `IfNoneMatch` was given and something lies there.
        """
        response = self.call(
            "put_object", key=key, repeat=False, Body=body, ContentMD5=base64.b64encode(md5).decode(), **parameters
        )
        return StoredObject(
            key=key,
            size_bytes=len(body),
            etag=response.get("ETag", "").strip('"'),
            version_id=_version_id(response),
        )

    @contextmanager
    def altered_in_transit(self, body: bytes) -> Iterator[None]:
        """Send these bytes in place of those that were signed, as a faulty device on the way would. For probes."""

        def alter(request: Any, **_: Any) -> None:
            request.body = body

        with store_errors(self.where):
            events = self._client.get().meta.events
        events.register("before-send.s3", alter)
        try:
            yield
        finally:
            events.unregister("before-send.s3", alter)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _stream(self, response: Mapping[str, Any], where: str) -> "ObjectStream":
        return ObjectStream(response["Body"], response["ContentLength"], where=where, meter=self._meter)

    def _once(self, operation: str, given: Mapping[str, Any], where: str) -> Any:
        with store_errors(where):
            method: Callable[..., Any] = getattr(self._client.get(), operation)
            self._meter.count(operation=operation)
            return method(Bucket=self.name, **given)


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallObject:
    """An object that was read whole."""

    stored: StoredObject
    data: bytes


class ObjectStream(io.RawIOBase):
    """The body of an answer: reading raises our errors, and an end that comes too early is one."""

    def __init__(self, body: Any, size_bytes: int, *, where: str, meter: _Meter) -> None:
        super().__init__()
        self._body, self._left, self._where, self._meter = body, size_bytes, where, meter

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes; 0 at the end. Raises TierUnavailableError when the answer is cut off."""
        with store_errors(self._where):
            size: int = self._body.readinto(buffer)
        self._left -= size
        self._meter.count(read_bytes=size)
        if (size == 0 and len(buffer) and self._left > 0) or self._left < 0:
            raise TierUnavailableError(
                "The answer of the object store has another length than was asked for",
                where=self._where,
                why=f"{abs(self._left):,} bytes {'are missing' if self._left > 0 else 'too many'}",
                next_step="run again; if it stays, look for a proxy on the way that alters answers",
            )
        return size

    def close(self) -> None:
        """Give the connection back when all was read, else close it."""
        if not self.closed:
            self._body.close()
        super().close()


@dataclass(frozen=True, slots=True)
class ObjectRanges:
    """Parts of one object; a `RangeReader`."""

    bucket: Bucket
    key: str
    version_id: str | None = None

    def read_range(self, offset: int, length: int) -> BinaryIO:
        """A stream of exactly these bytes; one request."""
        stream = self.bucket.open(self.key, offset=offset, length=length, version_id=self.version_id)
        return cast("BinaryIO", stream)


def md5_of(data: bytes | bytearray | memoryview) -> bytes:
    """The MD5 that S3 wants with a body; against accidents on the way, not against people."""
    return hashlib.md5(data, usedforsecurity=False).digest()


def _make_client(connection: Connection) -> Any:
    """A boto3 client that does nothing by itself: one attempt, no checksums of its own choice, signed payloads."""
    from botocore.config import Config

    if connection.ca_file is not None and not Path(connection.ca_file).is_file():
        raise TierError(
            "The certificates to trust are not there",
            where=connection.ca_file,
            next_step="correct the tier's ca_file in the configuration",
        )
    config = Config(
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        retries={"mode": "standard", "total_max_attempts": 1},
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        tcp_keepalive=True,
        max_pool_connections=connection.connections,
        s3={"addressing_style": "path" if connection.path_style else "auto", "payload_signing_enabled": True},
    )
    with _SESSION_LOCK:  # boto3 makes clients in one thread only
        session = _session()
        return session.client(
            "s3",
            endpoint_url=connection.endpoint,
            region_name=connection.region or session.region_name or "us-east-1",
            aws_access_key_id=connection.access_key,
            aws_secret_access_key=connection.secret_key,
            verify=connection.ca_file,
            config=config,
        )


@functools.cache
def _session() -> Any:
    """One for the process: it has read what boto3 knows of S3, which takes a quarter of a second."""
    import boto3

    return boto3.session.Session()


def _stored(key: str, response: Mapping[str, Any]) -> StoredObject:
    return StoredObject(
        key=key,
        size_bytes=response["ContentLength"],
        etag=response.get("ETag", "").strip('"'),
        version_id=_version_id(response),
        metadata=response.get("Metadata", {}),
        retain_until=response.get("ObjectLockRetainUntilDate"),
    )


def _version_id(response: Mapping[str, Any]) -> str | None:
    """None too for `null`, what a server calls an object from before the bucket had versions."""
    found = response.get("VersionId")
    return None if found in (None, "", "null") else str(found)


def _worth_repeating(error: TierUnavailableError) -> bool:
    """What nobody answers, or a bucket that is not there, will not be otherwise in a second."""
    from botocore.exceptions import ClientError, EndpointConnectionError

    cause = error.__cause__
    if isinstance(cause, ClientError):
        return bool(cause.response.get("Error", {}).get("Code") != "NoSuchBucket")
    return not isinstance(cause, EndpointConnectionError)
