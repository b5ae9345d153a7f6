"""Putting one object into a bucket: never over another one, once however often the answer is lost, and proven."""

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta

from repository.errors import CopyConflictError, NotFoundError, TierDeniedError, TierUnavailableError
from repository.stop import StopToken
from storage_tiers.object_store.client import RETRY_WAITS_S, Bucket, StoredObject, md5_of
from storage_tiers.object_store.rules import WriteRules

_LOCK_TOLERANCE = timedelta(hours=1)


class MemoryBudget:
    """How many bytes of bodies may be in memory at once, over all threads that send."""

    def __init__(self, total_bytes: int) -> None:
        self._total = self._free = total_bytes
        self._changed = threading.Condition()

    def take(self, size_bytes: int, *, stop: StopToken) -> None:
        """Wait until so many bytes are free; what is more than all there is, waits for all. See `give`."""
        size_bytes = min(size_bytes, self._total)
        with self._changed:
            while self._free < size_bytes:
                stop.check()
                self._changed.wait(0.5)
            self._free -= size_bytes

    def give(self, size_bytes: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._free += min(size_bytes, self._total)
            self._changed.notify_all()

    @contextmanager
    def taken(self, size_bytes: int, *, stop: StopToken) -> Iterator[None]:
        """Take for as long as the context lasts."""
        self.take(size_bytes, stop=stop)
        try:
            yield
        finally:
            self.give(size_bytes)


def head_or_none(bucket: Bucket, key: str) -> StoredObject | None:
    """What lies under a key; None when nothing does."""
    try:
        return bucket.head(key)
    except NotFoundError:
        return None


def remove_every_version(bucket: Bucket, key: str) -> None:
    """Remove what lies under one key, and what ever lay under it; nothing there is fine. For trials and canaries only.

    A bucket that keeps versions would hold on to it all: to what several put at once, and to the marks of deletion.

    Raises:
        TierDeniedError: something under the key is locked.
        TierError: the store could not be written.
    """
    page = bucket.call("list_object_versions", Prefix=key)
    for each in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
        if each["Key"] == key:
            with suppress(NotFoundError):
                bucket.call("delete_object", key=key, VersionId=each["VersionId"])


def put_new(
    bucket: Bucket,
    key: str,
    body: bytes | bytearray,
    *,
    rules: WriteRules,
    stop: StopToken,
    metadata: Mapping[str, str] | None = None,
    md5: bytes | None = None,
) -> StoredObject:
    """Put an object where nothing lies. The caller has looked; a server that can, looks again.

    When the answer is lost, or somebody else was faster, what lies there decides: the same bytes are as good as ours.

    Args:
        bucket: where.
        key: under which name.
        body: the object.
        rules: lock and features of the server.
        stop: ends the waiting between attempts.
        metadata: stored with it; Latin letters only.
        md5: of the body, where it is known already.

    Raises:
        CopyConflictError: other bytes lie there.
        TierError: it could not be written.
    """
    md5 = md5 or md5_of(body)
    given = {
        "Metadata": dict(metadata) if metadata else None,
        "IfNoneMatch": "*" if rules.features.if_none_match else None,
        **rules.lock_parameters(),
    }
    for wait_s in (*RETRY_WAITS_S, None):
        stop.check()
        try:
            return bucket.put(key, body, md5=md5, **given)
        except CopyConflictError:
            found = bucket.head(key)
            if not is_same(found, size_bytes=len(body), etag=md5.hex(), rules=rules):
                raise
            return found
        except TierUnavailableError:
            there = head_or_none(bucket, key)
            if there is not None and is_same(there, size_bytes=len(body), etag=md5.hex(), rules=rules):
                return there
            if wait_s is None or stop.wait(wait_s):
                raise
    raise AssertionError


def is_same(found: StoredObject, *, size_bytes: int, etag: str, rules: WriteRules) -> bool:
    """Whether the server says that these bytes lie there; where its ETags say nothing, the size has to do."""
    return found.size_bytes == size_bytes and (not rules.features.etag_is_md5 or found.etag == etag)


def prove(bucket: Bucket, sent: StoredObject, *, etag: str, rules: WriteRules) -> StoredObject:
    """Ask the server what it has stored, and compare it with what was sent: size, ETag and lock.

    Raises:
        CopyConflictError: something else lies there.
        TierDeniedError: the lock that was asked for was not set.
        TierError: the server could not be asked.
    """
    found = bucket.head(sent.key, version_id=sent.version_id)
    if not is_same(found, size_bytes=sent.size_bytes, etag=etag, rules=rules):
        raise CopyConflictError(
            "What lies in the object store is not what was sent",
            where=f"{bucket.where}/{sent.key}",
            why=f"sent {sent.size_bytes:,} bytes, {etag}; found {found.size_bytes:,} bytes, {found.etag}",
            next_step="quarantine the copy and put it again; look for other programs that write into this bucket",
        )
    return found if _is_locked(found, rules) else _lock(bucket, found, rules=rules)


def _is_locked(found: StoredObject, rules: WriteRules) -> bool:
    """Whether the lock ends about when it should; an upload that was resumed has that of its beginning."""
    wanted = rules.retain_until()
    return wanted is None or (found.retain_until is not None and found.retain_until >= wanted - _LOCK_TOLERANCE)


def _lock(bucket: Bucket, stored: StoredObject, *, rules: WriteRules) -> StoredObject:
    """Lock what is stored already: some servers (Ceph 16) forget the lock of what was sent in parts."""
    retention = {"Mode": rules.lock_parameters()["ObjectLockMode"], "RetainUntilDate": rules.retain_until()}
    bucket.call("put_object_retention", key=stored.key, VersionId=stored.version_id, Retention=retention)
    found = bucket.head(stored.key, version_id=stored.version_id)
    if not _is_locked(found, rules):
        raise TierDeniedError(
            "The object store stored an object without the lock that was asked for",
            where=f"{bucket.where}/{stored.key}",
            next_step="use a bucket that was made with object lock, or take the lock out of the configuration",
        )
    return found


def sha256_of(body: bytes | bytearray) -> str:
    """The SHA-256 of a body, hex; stored with it for people and other programs."""
    return hashlib.sha256(body).hexdigest()
