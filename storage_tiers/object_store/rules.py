"""What holds for everything that is written into one object store: locks, and what its server can do."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from repository.clock import Clock


class LockMode(StrEnum):
    """Who may lift an object lock before its time: somebody with a special permission, or nobody at all."""

    GOVERNANCE = "governance"
    COMPLIANCE = "compliance"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockRule:
    """How long what is written is protected against deletion."""

    mode: LockMode
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFeatures:
    """What a server was seen to do, by trying; where nobody has tried, the careful value holds.

    Args:
        signed_payload: a body that is not the one that was signed is refused.
        content_md5: a body that does not have its Content-MD5 is refused.
        checksum_sha256: so it is with x-amz-checksum-sha256.
        if_none_match: a put under a name that is taken is refused when asked.
        etag_is_md5: the ETag of an object is its MD5, and of one in parts the MD5 of their MD5s.
        ranges: a part of an object can be read.
        versioning: the bucket keeps what is overwritten or deleted.
        object_lock: the bucket can lock objects.
    """

    signed_payload: bool = False
    content_md5: bool = False
    checksum_sha256: bool = False
    if_none_match: bool = False
    etag_is_md5: bool = False
    ranges: bool = True
    versioning: bool = False
    object_lock: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRules:
    """How objects are written into one bucket."""

    clock: Clock
    lock: LockRule | None = None
    features: StoreFeatures = field(default_factory=StoreFeatures)

    def retain_until(self) -> datetime | None:
        """Until when what is written now is to be locked; to the second, as some servers keep no more."""
        if self.lock is None:
            return None
        return self.clock.now().replace(microsecond=0) + timedelta(days=self.lock.days)

    def lock_parameters(self) -> dict[str, Any]:
        """The lock as boto3's put_object and create_multipart_upload take it; nothing where there is none."""
        until = self.retain_until()
        if self.lock is None or until is None:
            return {}
        return {"ObjectLockMode": self.lock.mode.upper(), "ObjectLockRetainUntilDate": until}
