"""Moving a bad copy out of the way inside a bucket: copied by the server, looked at, and only then deleted."""

import functools
from collections.abc import Mapping
from urllib.parse import quote

from repository.aip import json_bytes
from repository.clock import rfc3339
from repository.errors import NotFoundError, TierDeniedError, TierError
from repository.stop import StopToken
from storage_tiers.object_store.client import Bucket, StoredObject
from storage_tiers.object_store.names import QUARANTINE, Names
from storage_tiers.object_store.put import head_or_none, put_new
from storage_tiers.object_store.rules import WriteRules
from storage_tiers.port import VersionRef

MAX_COPY_BYTES = 5 << 30
"""What a server copies by one request; larger objects are copied in parts."""

COPY_PART_BYTES = 1 << 30


def quarantine(bucket: Bucket, names: Names, ref: VersionRef, *, rules: WriteRules, note: Mapping[str, object]) -> str:
    """Move exactly the three objects of a version, whichever of them are there; the summary goes first.

    In a bucket that keeps versions, those of one name are moved one after the other, until the name is free.

    Returns: the key below which they lie now.

    Raises:
        NotFoundError: none of them is there.
        TierDeniedError: one of them is locked; nothing was moved.
        TierError: the store could not be written.
    """
    keys = names.of(ref)
    heads = (head_or_none(bucket, key) for key in reversed(keys.in_order))
    found = [stored for stored in heads if stored is not None]
    where = f"{bucket.where}/{names.stem(ref)[:-1]}"
    if not found:
        raise NotFoundError("This version is not in the object store", where=where)
    now = rules.clock.now()
    for locked in found:
        if locked.retain_until is not None and locked.retain_until > now:
            raise TierDeniedError(
                "The copy is locked and cannot be moved away",
                where=f"{bucket.where}/{locked.key}",
                why=f"its object lock ends on {rfc3339(locked.retain_until)}",
                next_step="keep it until then; the copies on other tiers are not touched by this",
            )
    folder = f"{names.prefix}{QUARANTINE}{now.strftime('%Y%m%dT%H%M%S.%fZ')}/"
    document = {"moved": rfc3339(now), "keys": [stored.key for stored in found], **note}
    put_new(bucket, f"{folder}note.json", json_bytes(document), rules=rules, stop=StopToken())
    for first in found:
        each: StoredObject | None = first
        count = 0
        while each is not None:
            below = f"{folder}{count}/" if count else folder
            _move(bucket, each, f"{below}{each.key.removeprefix(names.prefix)}")
            each, count = head_or_none(bucket, each.key), count + 1
    return folder


def _move(bucket: Bucket, stored: StoredObject, target: str) -> None:
    source = {"Bucket": bucket.name, "Key": stored.key}
    if stored.version_id is not None:
        source["VersionId"] = stored.version_id
    if stored.size_bytes <= MAX_COPY_BYTES:
        bucket.call("copy_object", key=target, CopySource=source)
    else:
        _copy_in_parts(bucket, stored, source, target)
    copied = bucket.head(target)
    in_parts = "-" in stored.etag or stored.size_bytes > MAX_COPY_BYTES
    if copied.size_bytes != stored.size_bytes or not (in_parts or copied.etag == stored.etag):
        raise TierError(
            "The object store did not copy what was to be moved; nothing was deleted",
            where=f"{bucket.where}/{target}",
            why=f"it has {copied.size_bytes:,} bytes instead of {stored.size_bytes:,}",
            next_step="run again, and look at the server's log",
        )
    bucket.call("delete_object", key=stored.key, VersionId=stored.version_id)


def _copy_in_parts(bucket: Bucket, stored: StoredObject, source: Mapping[str, str], target: str) -> None:
    created = bucket.call("create_multipart_upload", key=target, Metadata=dict(stored.metadata))
    parts = []
    for number, start in enumerate(range(0, stored.size_bytes, COPY_PART_BYTES), 1):
        end = min(start + COPY_PART_BYTES, stored.size_bytes) - 1
        copy_part = functools.partial(
            bucket.call,
            "upload_part_copy",
            key=target,
            UploadId=created["UploadId"],
            PartNumber=number,
            CopySourceRange=f"bytes={start}-{end}",
        )
        try:
            answer = copy_part(CopySource=source)
        except NotFoundError:
            source = {**source, "Key": quote(stored.key)}  # Ceph 16 decodes the name twice
            answer = copy_part(CopySource=source)
        parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
    bucket.call(
        "complete_multipart_upload", key=target, UploadId=created["UploadId"], MultipartUpload={"Parts": parts}
    )
