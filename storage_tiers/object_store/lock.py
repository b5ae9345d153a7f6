"""Object locks: whether a server really keeps them, and moving their end on before it comes."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from repository.clock import Clock
from repository.errors import NotFoundError, TierDeniedError, TierError, TierUnavailableError
from repository.stop import StopToken
from storage_tiers.object_store.client import Bucket, StoredObject, md5_of
from storage_tiers.object_store.names import CANARY, Names
from storage_tiers.object_store.rules import LockMode, WriteRules
from storage_tiers.port import VersionRef

WORM_CANARY = f"{CANARY}worm-"

_TEXT = b"A canary of Jindang: it is locked, and must not be deleted before its time.\n"
_OTHER = b"Other bytes under the same name.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class WormAttempt:
    """One way to destroy what is locked, and what came of it.

    Args:
        name: `delete the version`, `shorten the lock`, `overwrite`, `suspend versioning`.
        refused: False is a finding: what is stored is not protected against this.
        detail: the server's words.
    """

    name: str
    refused: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedVersion:
    """The lock of one stored version, as it was found.

    Args:
        ref: the version.
        retain_until: when its lock ended, or was to end; None where there was none.
        extended_to: the new end; None where the old one is far enough.
    """

    ref: VersionRef
    retain_until: datetime | None
    extended_to: datetime | None


def probe_worm(
    bucket: Bucket, prefix: str, *, mode: LockMode, clock: Clock, hold: timedelta = timedelta(days=1)
) -> tuple[WormAttempt, ...]:
    """Try to destroy a locked canary in four ways, with our own keys; each must be refused.

    The canary stays until its lock ends; those of earlier probes are removed. Where suspending versions is not
    refused, they are switched on again at once.

    Args:
        bucket: with object lock.
        prefix: of the tier.
        mode: that the tier uses.
        clock: tells from when the lock counts.
        hold: how long it holds.

    Raises:
        TierError: the canary could not be written: the bucket has no object lock, or cannot be reached.
    """
    _remove_old(bucket, f"{prefix}{WORM_CANARY}")
    until = clock.now().replace(microsecond=0) + hold
    key = f"{prefix}{WORM_CANARY}{uuid.uuid4().hex}"
    lock = {"ObjectLockMode": mode.upper(), "ObjectLockRetainUntilDate": until}
    stored = bucket.put(key, _TEXT, md5=md5_of(_TEXT), **lock)
    if stored.version_id is None:
        raise TierDeniedError(
            "The bucket keeps no versions, so nothing in it can be locked",
            where=bucket.where,
            next_step="make a bucket with object lock, and copy the tier there",
        )
    sooner = {"Mode": mode.upper(), "RetainUntilDate": until - hold / 2}
    return (
        _attempt("delete the version", lambda: bucket.call("delete_object", key=key, VersionId=stored.version_id)),
        _attempt(
            "shorten the lock",
            lambda: bucket.call("put_object_retention", key=key, VersionId=stored.version_id, Retention=sooner),
        ),
        _overwrite(bucket, stored),
        _suspend_versions(bucket),
    )


def extend_locks(
    bucket: Bucket,
    names: Names,
    *,
    rules: WriteRules,
    ends_before: datetime | None,
    stop: StopToken,
    after: VersionRef | None = None,
) -> Iterator[LockedVersion]:
    """Look at the lock of every stored version, and move those that end too soon to the rule's full time from now.

    All that was ever stored under our names is looked at, so that nobody hides the right bytes behind newer ones.
    Cost: one request for the pack of each version, three more where it has to be extended, and the listing. Results
    come as they are made, in the order of the server's listing; whoever was interrupted goes on after the last one.

    Args:
        bucket: with object lock.
        names: of the tier.
        rules: with the lock of the tier.
        ends_before: locks that end before are extended, and what has none is locked; None only looks.
        stop: polled for each version.
        after: where an earlier call came to.

    Raises:
        TierDeniedError: the tier has no lock in its configuration, or the server refuses to extend one.
        TierError: the store could not be used.
        OperationCancelledError: stop was set.
    """
    until = rules.retain_until()
    if rules.lock is None or until is None:
        raise TierDeniedError(
            "The tier has no object lock in its configuration", where=bucket.where, next_step="set the tier's lock"
        )
    begin = f"{names.stem(after)}~" if after is not None else None
    retention = {"Mode": rules.lock.mode.upper(), "RetainUntilDate": until}
    for ref, group in groupby(_stored_versions(bucket, names, begin), key=lambda each: each[0]):
        stop.check()
        members = [(key, version_id) for _, key, version_id in group]
        packs = [each for each in members if each[0] == names.of(ref).pack]
        ends = [bucket.head(key, version_id=version_id).retain_until for key, version_id in packs]
        earliest = None if None in ends else min((end for end in ends if end is not None), default=None)
        enough = ends_before is None or (earliest is not None and earliest >= ends_before)
        if not enough:
            for key, version_id in members:
                bucket.call("put_object_retention", key=key, VersionId=version_id, Retention=retention)
        yield LockedVersion(ref=ref, retain_until=earliest, extended_to=None if enough else until)


def locks_by_itself(bucket: Bucket) -> bool:
    """Whether the bucket locks what is put into it also where nobody asks for that: its default retention."""
    try:
        answer = bucket.call("get_object_lock_configuration")
    except TierUnavailableError:
        raise
    except (TierError, NotFoundError):
        return False
    return bool(answer.get("ObjectLockConfiguration", {}).get("Rule"))


def _stored_versions(bucket: Bucket, names: Names, begin: str | None) -> Iterator[tuple[VersionRef, str, str]]:
    """Everything stored under the names of versions, those of one version one after the other."""
    key_marker, id_marker = begin, None
    while True:
        page = bucket.call(
            "list_object_versions", Prefix=names.prefix, KeyMarker=key_marker, VersionIdMarker=id_marker
        )
        for each in page.get("Versions", ()):
            ref = names.ref_of_any(each["Key"])
            if ref is not None:
                yield ref, each["Key"], each["VersionId"]
        if not page.get("IsTruncated"):
            return
        key_marker, id_marker = page.get("NextKeyMarker"), page.get("NextVersionIdMarker")


def _attempt(name: str, action: Callable[[], object]) -> WormAttempt:
    try:
        action()
    except TierUnavailableError:
        raise
    except (TierError, NotFoundError) as error:
        return WormAttempt(name=name, refused=True, detail=error.why or error.what)
    return WormAttempt(name=name, refused=False, detail="the server did it")


def _overwrite(bucket: Bucket, stored: StoredObject) -> WormAttempt:
    """Overwriting makes a new version; the old one must still be there, as it was."""
    name = "overwrite"
    try:
        newer = bucket.put(stored.key, _OTHER, md5=md5_of(_OTHER))
    except TierUnavailableError:
        raise
    except TierError as error:
        return WormAttempt(name=name, refused=True, detail=error.why or error.what)
    try:
        kept = bucket.read(stored.key, version_id=stored.version_id).data == _TEXT
    except NotFoundError:
        kept = False
    if newer.version_id is not None and newer.version_id != stored.version_id:
        with suppress(TierError):
            bucket.call("delete_object", key=stored.key, VersionId=newer.version_id)
    return WormAttempt(
        name=name, refused=kept, detail="the old version is kept" if kept else "the old version is gone"
    )


def _suspend_versions(bucket: Bucket) -> WormAttempt:
    found = _attempt(
        "suspend versioning",
        lambda: bucket.call("put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"}),
    )
    if not found.refused:
        bucket.call("put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"})
    return found


def _remove_old(bucket: Bucket, prefix: str) -> None:
    """Remove canaries of earlier probes whose lock has ended; the server refuses the others."""
    page = bucket.call("list_object_versions", Prefix=prefix)
    for each in page.get("Versions", []) + page.get("DeleteMarkers", []):
        with suppress(TierError, NotFoundError):
            bucket.call("delete_object", key=each["Key"], VersionId=each["VersionId"])
