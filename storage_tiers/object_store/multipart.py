"""Sending one large object in parts: in parallel, in bounded memory, resumed from what the server has.

Nothing is kept on our side: an upload that was interrupted is found on the server, the stream is made again, and the
parts that lie there already with the same MD5 are not sent. So two who send the same thing at the same time may even
share one upload; whoever comes last finds the object there.
"""

import base64
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, wait
from dataclasses import dataclass
from datetime import datetime

from repository.errors import CopyConflictError, IntegrityError, NotFoundError, SourceReadError, TierUnavailableError
from repository.stop import StopToken
from storage_tiers.object_store.client import RETRY_WAITS_S, Bucket, StoredObject, md5_of
from storage_tiers.object_store.put import MemoryBudget, head_or_none, prove
from storage_tiers.object_store.rules import WriteRules

MIN_PART_BYTES = 16 << 20
MOST_PARTS = 9000  # servers allow 10,000
_MIB = 1 << 20


class UploadEndedError(TierUnavailableError):
    """Somebody else finished or gave up the upload that we were in; what lies there now has to be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeObject:
    """What is to be sent.

    Args:
        key: under which name.
        size_bytes: exactly so many will come.
        chunks: the bytes, in order; each chunk is used up before the next one is asked for.
        repeatable: whether making it again gives the same bytes, so that an interrupted upload can be resumed.
        metadata: stored with it.
    """

    key: str
    size_bytes: int
    chunks: Iterable[bytes | bytearray | memoryview]
    repeatable: bool
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    size_bytes: int
    etag: str


def part_bytes(size_bytes: int) -> int:
    """Length of all parts but the last; the same for the same size, so that parts can be found again."""
    least = -(-size_bytes // MOST_PARTS)
    return max(MIN_PART_BYTES, -(-least // _MIB) * _MIB)


def split(
    chunks: Iterable[bytes | bytearray | memoryview], size_bytes: int, *, budget: MemoryBudget, stop: StopToken
) -> Iterator[bytearray]:
    """Cut a stream into parts. Whoever takes a part gives its length back to the budget when it is done with it.

    Raises:
        IntegrityError: the stream has another length than was said.
    """
    longest, left, filled = part_bytes(size_bytes), size_bytes, 0
    part: bytearray | None = None
    try:
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                if part is None:
                    length = min(longest, left)
                    if length == 0:
                        raise _wrong_length(size_bytes)
                    budget.take(length, stop=stop)
                    part, filled = bytearray(length), 0
                taken = min(len(rest), len(part) - filled)
                memoryview(part)[filled : filled + taken] = rest[:taken]
                rest, filled, left = rest[taken:], filled + taken, left - taken
                if filled == len(part):
                    whole, part = part, None
                    yield whole
        if left:
            raise _wrong_length(size_bytes)
    finally:
        if part is not None:
            budget.give(len(part))


def etag_of(
    chunks: Iterable[bytes | bytearray | memoryview], size_bytes: int, *, whole_bytes: int, stop: StopToken
) -> str:
    """The ETag that our object has on a server whose ETags are MD5s. Memory: one chunk.

    Args:
        chunks: the object.
        size_bytes: its size.
        whole_bytes: up to this size it was sent by one request, without parts.
        stop: polled once a chunk.
    """
    longest, digests, filled = part_bytes(size_bytes), [], 0
    if size_bytes <= whole_bytes:
        longest = size_bytes
    hasher = hashlib.md5(usedforsecurity=False)
    for chunk in chunks:
        stop.check()
        rest = memoryview(chunk)
        while rest:
            taken = min(len(rest), longest - filled)
            hasher.update(rest[:taken])
            rest, filled = rest[taken:], filled + taken
            if filled == longest:
                digests.append(hasher.digest())
                hasher, filled = hashlib.md5(usedforsecurity=False), 0
    if filled:
        digests.append(hasher.digest())
    return digests[0].hex() if size_bytes <= whole_bytes else _joined_etag(digests)


def send_in_parts(
    bucket: Bucket,
    wanted: LargeObject,
    *,
    rules: WriteRules,
    workers: Executor,
    budget: MemoryBudget,
    stop: StopToken,
) -> StoredObject:
    """Send an object that is not there yet; it appears when all of it is.

    When the source fails, the upload is given up. When the store fails or we are asked to stop, it is left for the
    next attempt; `abort_stale_uploads` removes what nobody came back for.

    Args:
        bucket: where.
        wanted: what.
        rules: lock and features of the server.
        workers: threads that send parts; shared by all uploads.
        budget: of memory; shared by all uploads.
        stop: polled at each part.

    Raises:
        UploadEndedError: somebody else ended the upload; look whether the object is there, then send again.
        CopyConflictError: other bytes lie there.
        SourceReadError: the source failed.
        TierError: the store failed.
        OperationCancelledError: stop was set.
    """
    upload_id = _unfinished(bucket, wanted.key) if wanted.repeatable else None
    present = {} if upload_id is None else _parts(bucket, wanted.key, upload_id)
    if upload_id is None:
        created = bucket.call(
            "create_multipart_upload",
            key=wanted.key,
            Metadata=dict(wanted.metadata) if wanted.metadata else None,
            **rules.lock_parameters(),
        )
        upload_id = created["UploadId"]
    known = present if rules.features.etag_is_md5 else {}
    upload = _Upload(bucket, wanted.key, str(upload_id), known)
    try:
        digests = _send(upload, wanted, workers=workers, budget=budget, stop=stop)
        stored = _finish(upload, wanted, digests, rules=rules, stop=stop)
    except (SourceReadError, IntegrityError, CopyConflictError):
        upload.abort()
        raise
    except NotFoundError as error:
        raise UploadEndedError(
            "Somebody else ended the upload of this object",
            where=f"{bucket.where}/{wanted.key}",
            next_step="run again: what is finished is not done twice",
        ) from error
    _abort_all(bucket, wanted.key)
    return stored


def abort_stale_uploads(bucket: Bucket, prefix: str, *, older_than: datetime) -> int:
    """Remove the parts of uploads below a prefix that were begun before a moment and never finished.

    Returns: how many uploads.
    """
    aborted = 0
    for key, upload_id, initiated in list(_uploads(bucket, prefix)):
        if initiated < older_than:
            _Upload(bucket, key, upload_id, {}).abort()
            aborted += 1
    return aborted


class _Upload:
    """One upload on the server, and which of its parts need not be sent."""

    def __init__(self, bucket: Bucket, key: str, upload_id: str, present: Mapping[int, _Part]) -> None:
        self.bucket, self.key, self.upload_id, self._present = bucket, key, upload_id, present
        self.etags: dict[int, str] = {}

    def send_part(self, number: int, body: bytearray) -> bytes:
        """Send one part unless it is there already. Returns its MD5. Sending it twice does no harm."""
        md5 = md5_of(body)
        if self._present.get(number) == _Part(len(body), md5.hex()):
            self.etags[number] = md5.hex()
            return md5
        response = self.bucket.call(
            "upload_part",
            key=self.key,
            UploadId=self.upload_id,
            PartNumber=number,
            Body=body,
            ContentMD5=base64.b64encode(md5).decode(),
        )
        self.etags[number] = response["ETag"]
        return md5

    def complete(self) -> None:
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in sorted(self.etags.items())]
        self.bucket.call(
            "complete_multipart_upload",
            key=self.key,
            repeat=False,
            UploadId=self.upload_id,
            MultipartUpload={"Parts": parts},
        )

    def abort(self) -> None:
        try:
            self.bucket.call("abort_multipart_upload", key=self.key, UploadId=self.upload_id)
        except (NotFoundError, TierUnavailableError):
            return  # it is gone already, or `abort_stale_uploads` will find it


def _send(
    upload: _Upload, wanted: LargeObject, *, workers: Executor, budget: MemoryBudget, stop: StopToken
) -> list[bytes]:
    """Send all parts. Returns their MD5s, in order. When one fails, none is under way any more."""
    futures: list[Future[bytes]] = []
    running: deque[Future[bytes]] = deque()
    try:
        for number, body in enumerate(split(wanted.chunks, wanted.size_bytes, budget=budget, stop=stop), 1):
            future = workers.submit(upload.send_part, number, body)
            future.add_done_callback(_giver(budget, len(body)))
            futures.append(future)
            running.append(future)
            stop.check()
            while running and running[0].done():
                running.popleft().result()
        return [future.result() for future in futures]
    finally:
        for future in running:
            future.cancel()
        wait(running)


def _giver(budget: MemoryBudget, size_bytes: int) -> Callable[[Future[bytes]], None]:
    return lambda _: budget.give(size_bytes)


def _finish(
    upload: _Upload, wanted: LargeObject, digests: list[bytes], *, rules: WriteRules, stop: StopToken
) -> StoredObject:
    """Make the parts one object, unless somebody else has; when the answer is lost, what lies there decides."""
    bucket, etag = upload.bucket, _joined_etag(digests)
    for wait_s in (*RETRY_WAITS_S, None):
        found = head_or_none(bucket, wanted.key)
        if found is not None:
            break
        try:
            upload.complete()
            break
        except NotFoundError:
            if head_or_none(bucket, wanted.key) is None:
                raise
            break
        except TierUnavailableError:
            if head_or_none(bucket, wanted.key) is not None:
                break
            if wait_s is None or stop.wait(wait_s):
                raise
    sent = StoredObject(key=wanted.key, size_bytes=wanted.size_bytes, etag=etag)
    return prove(bucket, sent, etag=etag, rules=rules)


def _unfinished(bucket: Bucket, key: str) -> str | None:
    """The upload of this key that was begun first."""
    found = sorted((initiated, upload_id) for name, upload_id, initiated in _uploads(bucket, key) if name == key)
    return found[0][1] if found else None


def _uploads(bucket: Bucket, prefix: str) -> Iterator[tuple[str, str, datetime]]:
    key_marker = id_marker = None
    while True:
        page = bucket.call("list_multipart_uploads", Prefix=prefix, KeyMarker=key_marker, UploadIdMarker=id_marker)
        for each in page.get("Uploads", ()):
            yield each["Key"], each["UploadId"], each["Initiated"]
        if not page.get("IsTruncated"):
            return
        key_marker, id_marker = page.get("NextKeyMarker"), page.get("NextUploadIdMarker")


def _parts(bucket: Bucket, key: str, upload_id: str) -> dict[int, _Part]:
    """Number -> part, as the server has them; none where the upload is gone."""
    found: dict[int, _Part] = {}
    marker: int | None = None
    while True:
        try:
            page = bucket.call("list_parts", key=key, UploadId=upload_id, PartNumberMarker=marker)
        except NotFoundError:
            return {}
        for each in page.get("Parts", ()):
            found[each["PartNumber"]] = _Part(each["Size"], each["ETag"].strip('"'))
        if not page.get("IsTruncated"):
            return found
        marker = page["NextPartNumberMarker"]


def _abort_all(bucket: Bucket, key: str) -> None:
    """Give up other uploads of what is complete now: their owners find the object there."""
    for name, upload_id, _ in list(_uploads(bucket, key)):
        if name == key:
            _Upload(bucket, key, upload_id, {}).abort()


def _joined_etag(digests: list[bytes]) -> str:
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"


def _wrong_length(size_bytes: int) -> IntegrityError:
    return IntegrityError(
        "A stream has another length than was said",
        why=f"it should have {size_bytes:,} bytes",
        next_step="check the source, then run again",
    )
