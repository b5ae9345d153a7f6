"""Putting a version into an object store: pack, inventory, summary, in this order, each only where nothing lies."""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

from repository.aip import summary_bytes
from repository.errors import CopyConflictError, NotFoundError
from repository.stop import StopToken
from storage_tiers.object_store.client import Bucket, ObjectRanges, StoredObject, md5_of
from storage_tiers.object_store.multipart import LargeObject, UploadEndedError, etag_of, send_in_parts
from storage_tiers.object_store.names import Names, VersionKeys
from storage_tiers.object_store.put import MemoryBudget, head_or_none, is_same, prove, put_new, sha256_of
from storage_tiers.object_store.rules import WriteRules
from storage_tiers.object_store.sealing import Chunk, Sealing
from storage_tiers.packs.writing import plan_pack, write_pack
from storage_tiers.port import OpenedVersion, Placed, PutStatus, VersionRef

WHOLE_BYTES = 32 << 20
"""Packs up to this size are sent by one request, from memory."""

PACK_BYTES = "pack-bytes"
"""Metadata of a summary: size of the pack before encryption; saves a request, and is not relied on."""

INVENTORY_DIGEST = "inventory-digest"
"""Metadata of an inventory: its digest before it was encrypted, for whoever cannot decrypt."""

_ATTEMPTS = 3


def location_of(bucket: Bucket, stored: Mapping[str, StoredObject]) -> str:
    """Where the parts of a version lie, as the catalogue keeps it.

    Args:
        bucket: the bucket.
        stored: `pack`, `inventory` and `summary` -> what the server said of it.
    """
    places = {part: {"key": each.key, "version_id": each.version_id} for part, each in stored.items()}
    return json.dumps({"bucket": bucket.name, **places}, sort_keys=True)


def pinned_versions(location: str | None) -> dict[str, str | None]:
    """Key -> version of the object that was written under it; nothing where that is not known."""
    if location is None:
        return {}
    document = json.loads(location)
    parts = (document[part] for part in ("pack", "inventory", "summary"))
    return {part["key"]: part["version_id"] for part in parts}


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionWriter:
    """Puts versions into one bucket. Safe to use from several threads.

    Args:
        bucket: where.
        names: how objects are called there.
        rules: lock and features of the server.
        sealing: encryption, or none.
        workers: threads that send parts of large packs.
        budget: memory that all packs under way share.
    """

    bucket: Bucket
    names: Names
    rules: WriteRules
    sealing: Sealing
    workers: Executor
    budget: MemoryBudget

    def put(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        """As `StorageTier.put_version`.

        One listing stands for a HEAD of each of the three keys: it says what is there already.
        """
        ref = VersionRef(source.summary.object_path, source.summary.record.number)
        keys = self.names.of(ref)
        there = {each.key: each for each in self.bucket.list(self.names.stem(ref))}
        if keys.inventory in there:
            self._require_same_inventory(keys, source)
        elif keys.summary not in there:
            self._require_predecessor(ref)
        size_bytes, present = plan_pack(source).size_bytes, there.get(keys.pack)
        if present is not None and (found := self._plain_bytes(present)) != size_bytes:
            raise self._conflict(keys.pack, f"the pack should have {size_bytes:,} bytes, and has {found:,}")
        if all(key in there for key in keys.in_order):
            return Placed(status=PutStatus.ALREADY_PRESENT, location=self._location(keys, {}))
        written: dict[str, StoredObject] = {}
        if present is None:
            written[keys.pack] = self._put_pack(source, keys.pack, size_bytes, stop=stop)
        else:
            self._require_same_pack(source, present, stop=stop)
        digest = source.summary.record.inventory_digest
        small = {
            keys.inventory: (source.inventory_bytes, {INVENTORY_DIGEST: digest}),
            keys.summary: (summary_bytes(source.summary), {PACK_BYTES: str(size_bytes)}),
        }
        for key, (data, metadata) in small.items():
            if key not in there:
                written[key] = self._put_small(key, data, metadata, source=source, keys=keys, stop=stop)
        return Placed(status=PutStatus.STORED, location=self._location(keys, written))

    def _put_small(
        self,
        key: str,
        data: bytes,
        metadata: Mapping[str, str],
        *,
        source: OpenedVersion,
        keys: VersionKeys,
        stop: StopToken,
    ) -> StoredObject:
        body = self.sealing.sealed(data)
        try:
            return put_new(self.bucket, key, body, rules=self.rules, stop=stop, metadata=metadata)
        except CopyConflictError:
            if not self.sealing.is_encrypted:
                raise
            self._require_same_inventory(keys, source)  # somebody else put the same: encrypted, it differs
            return self.bucket.head(key)

    def _put_pack(self, source: OpenedVersion, key: str, plain_bytes: int, *, stop: StopToken) -> StoredObject:
        """Send the pack and ask what was stored; when somebody else ends our upload, look and try again."""
        for _ in range(_ATTEMPTS):
            try:
                with self.sealing.stream(write_pack(source, stop=stop), plain_bytes) as (size_bytes, chunks):
                    if size_bytes <= WHOLE_BYTES:
                        return self._put_whole(key, size_bytes, chunks, stop=stop)
                    return self._put_in_parts(key, size_bytes, chunks, stop=stop)
            except UploadEndedError:
                found = head_or_none(self.bucket, key)
                if found is not None:
                    self._require_same_pack(source, found, stop=stop)
                    return found
            except CopyConflictError:
                found = head_or_none(self.bucket, key)
                if not self.sealing.is_encrypted or found is None or self._plain_bytes(found) != plain_bytes:
                    raise
                return found
        raise UploadEndedError(
            "The upload of a pack was ended by somebody else again and again",
            where=f"{self.bucket.where}/{key}",
            next_step="look for a rule of the bucket that removes uploads early, and for other programs",
        )

    def _put_whole(self, key: str, size_bytes: int, chunks: Iterable[Chunk], *, stop: StopToken) -> StoredObject:
        with self.budget.taken(size_bytes, stop=stop):
            body = bytearray(size_bytes)
            view, filled = memoryview(body), 0
            for chunk in chunks:
                view[filled : filled + len(chunk)] = chunk
                filled += len(chunk)
            md5 = md5_of(body)
            metadata = {"sha256": sha256_of(body)}
            sent = put_new(self.bucket, key, body, rules=self.rules, stop=stop, metadata=metadata, md5=md5)
        return prove(self.bucket, sent, etag=md5.hex(), rules=self.rules)

    def _put_in_parts(self, key: str, size_bytes: int, chunks: Iterable[Chunk], *, stop: StopToken) -> StoredObject:
        return send_in_parts(
            self.bucket,
            LargeObject(key=key, size_bytes=size_bytes, chunks=chunks, repeatable=not self.sealing.is_encrypted),
            rules=self.rules,
            workers=self.workers,
            budget=self.budget,
            stop=stop,
        )

    def _plain_bytes(self, pack: StoredObject) -> int:
        ranges = ObjectRanges(self.bucket, pack.key, pack.version_id)
        return self.sealing.plain_bytes(ranges, pack.size_bytes)

    def _require_same_inventory(self, keys: VersionKeys, source: OpenedVersion) -> None:
        """Whether the inventory that lies there is the source's; by its label only where we cannot decrypt."""
        wanted = source.summary.record.inventory_digest
        if self.sealing.can_open:
            same = (
                self.sealing.opened(self.bucket.read(keys.inventory).data, where=keys.inventory)
                == source.inventory_bytes
            )
        else:
            same = self.bucket.head(keys.inventory).metadata.get(INVENTORY_DIGEST) == wanted
        if not same:
            raise self._conflict(keys.inventory, "its inventory is another one")

    def _require_same_pack(self, source: OpenedVersion, found: StoredObject, *, stop: StopToken) -> None:
        """Whether a pack that was left without its summary is the one that we would write.

        It is made again and its MD5 compared; an encrypted one is taken by its size, until it is read in full.
        """
        if self.sealing.is_encrypted or not self.rules.features.etag_is_md5:
            return
        etag = etag_of(write_pack(source, stop=stop), found.size_bytes, whole_bytes=WHOLE_BYTES, stop=stop)
        if not is_same(found, size_bytes=found.size_bytes, etag=etag, rules=self.rules):
            raise self._conflict(found.key, f"its ETag should be {etag}, and is {found.etag}")

    def _require_predecessor(self, ref: VersionRef) -> None:
        if ref.number == 1:
            return
        before = VersionRef(ref.object_path, ref.number - 1)
        if head_or_none(self.bucket, self.names.of(before).summary) is None:
            raise NotFoundError(
                f"The version before is not there: v{before.number} has to be stored first",
                where=f"{self.bucket.where}/{self.names.stem(ref)[:-1]}",
                next_step="copy the versions of an object in their order; `jindang replicate run` does",
            )

    def _location(self, keys: VersionKeys, written: Mapping[str, StoredObject]) -> str:
        """Where the three lie; what we did not write ourselves is asked for where the bucket keeps versions."""
        parts = {"pack": keys.pack, "inventory": keys.inventory, "summary": keys.summary}
        stored = {}
        for part, key in parts.items():
            known = written.get(key)
            if known is None and self.rules.features.versioning:
                known = self.bucket.head(key)
            stored[part] = known or StoredObject(key=key, size_bytes=0, etag="")
        return location_of(self.bucket, stored)

    def _conflict(self, key: str, why: str) -> CopyConflictError:
        return CopyConflictError(
            "Something else lies in the object store under the name of this copy",
            where=f"{self.bucket.where}/{key}",
            why=why,
            next_step="find out who wrote it, and which of the two is right; nothing was overwritten",
        )
