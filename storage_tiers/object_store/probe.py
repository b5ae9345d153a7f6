"""What a server can do, found out by trying on objects of our own that are removed again; never by its name."""

import base64
import hashlib
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from repository.errors import CopyConflictError, NotFoundError, TierDeniedError, TierError, TierUnavailableError
from storage_tiers.object_store.client import Bucket, Connection, StoredObject, md5_of
from storage_tiers.object_store.errors import BytesAlteredError
from storage_tiers.object_store.names import CANARY
from storage_tiers.object_store.put import remove_every_version
from storage_tiers.object_store.rules import StoreFeatures

_TEXT = b"A canary of Jindang: it may be deleted.\n"
_OTHER = b"A Canary of Jindang: it may be deleted.\n"


def probe_capabilities(connection: Connection, prefix: str) -> StoreFeatures:
    """Try everything that we want to know; about twenty requests.

    Args:
        connection: to the bucket; the probe opens one of its own.
        prefix: of the tier; the canaries lie in `canary/` below it, and are removed afterwards where the server
            lets them.

    Raises:
        TierError: the bucket could not be reached, or may not be written.
    """
    probe = _Probe(connection, f"{prefix}{CANARY}{uuid.uuid4().hex}")
    try:
        return probe.run()
    finally:
        probe.close()


class _Probe:
    def __init__(self, connection: Connection, key: str) -> None:
        self._bucket = Bucket(connection)
        self._key = key
        self._made: set[str] = set()

    def run(self) -> StoreFeatures:
        first = self._put("first", _TEXT)
        return StoreFeatures(
            signed_payload=self._refuses(self._put_altered),
            content_md5=self._refuses(lambda: self._put("md5", _TEXT, md5=md5_of(_OTHER))),
            checksum_sha256=self._refuses(lambda: self._put("sha256", _TEXT, ChecksumSHA256=_sha256(_OTHER))),
            if_none_match=self._refuses(lambda: self._put("first", _TEXT, IfNoneMatch="*")),
            etag_is_md5=first.etag == md5_of(_TEXT).hex() and self._etag_of_parts_is_md5(),
            ranges=self._gives_ranges(first),
            versioning=first.version_id is not None,
            object_lock=self._has_object_lock(),
        )

    def close(self) -> None:
        """Remove what was made; what is locked by a rule of the bucket stays until its lock ends."""
        try:
            for key in self._made:
                with suppress(TierError, NotFoundError):
                    remove_every_version(self._bucket, key)
        finally:
            self._bucket.close()

    def _put(self, name: str, body: bytes, *, md5: bytes | None = None, **parameters: Any) -> StoredObject:
        key = f"{self._key}-{name}"
        self._made.add(key)
        return self._bucket.put(key, body, md5=md5 or md5_of(body), **parameters)

    def _put_altered(self) -> None:
        """Send other bytes than were signed, as a faulty device on the way would; without an MD5."""
        key = f"{self._key}-signed"
        self._made.add(key)
        with self._bucket.altered_in_transit(_OTHER):
            self._bucket.call("put_object", key=key, repeat=False, Body=_TEXT)

    def _refuses(self, attempt: Callable[[], object]) -> bool:
        try:
            attempt()
        except (BytesAlteredError, CopyConflictError, TierDeniedError):
            return True
        except TierUnavailableError:
            raise
        except TierError:
            return True
        return False

    def _etag_of_parts_is_md5(self) -> bool:
        key = f"{self._key}-parts"
        self._made.add(key)
        upload_id = self._bucket.call("create_multipart_upload", key=key)["UploadId"]
        part = self._bucket.call("upload_part", key=key, UploadId=upload_id, PartNumber=1, Body=_TEXT)
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        self._bucket.call("complete_multipart_upload", key=key, UploadId=upload_id, MultipartUpload=parts)
        return self._bucket.head(key).etag == f"{md5_of(md5_of(_TEXT)).hex()}-1"

    def _gives_ranges(self, stored: StoredObject) -> bool:
        try:
            with self._bucket.open(stored.key, offset=2, length=6) as stream:
                return stream.read() == _TEXT[2:8]
        except TierUnavailableError:
            raise
        except TierError:
            return False

    def _has_object_lock(self) -> bool:
        """What the bucket says; `probe_worm` tries it, on a canary that has to stay until its lock ends."""
        try:
            answer = self._bucket.call("get_object_lock_configuration")
        except TierUnavailableError:
            raise
        except (TierError, NotFoundError):
            return False
        return bool(answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled")


def _sha256(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()
