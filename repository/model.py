"""The domain's own types: frozen, and parsed where text comes in."""

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from urllib.parse import quote, unquote

from repository.errors import InvalidInputError

MAX_IDENTIFIER_BYTES = 512
_LOCAL_SAFE = "-._~!$&'()*+,;=:@/"  # RFC 3986: pchar and "/", so that readable identifiers stay readable
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, order=True)
class ObjectId:
    """The identifier of an object: a URI, the institution's prefix and a percent-encoded local part.

    `urn:jindang:120000:J019-WS%C2%B72015%C2%B7D30-003-005` is shown to people as its local part,
    `J019-WS·2015·D30-003-005`.
    """

    uri: str

    def __str__(self) -> str:
        """The URI."""
        return self.uri

    @classmethod
    def parse(cls, text: str, *, prefix: str) -> "ObjectId":
        """Read an identifier as a person or a package gives it: the whole URI, or the local part.

        The local part is brought to Unicode form NFC, so that what looks the same is the same.

        Raises:
            InvalidInputError: it is empty, too long, or has control characters in it.
        """
        text = text.strip()
        try:
            local = unquote(text[len(prefix) :], errors="strict") if text.startswith(prefix) else text
            local = unicodedata.normalize("NFC", local)
            usable = 0 < len(local.encode()) <= MAX_IDENTIFIER_BYTES and not _CONTROL.search(local)
        except UnicodeError:
            usable = False
        if not usable:
            raise InvalidInputError(
                "This cannot be the identifier of an object",
                where=repr(text),
                why=f"it is empty, longer than {MAX_IDENTIFIER_BYTES} bytes, not UTF-8, or has control characters",
                next_step="give another one with --id or in the metadata file",
            )
        return cls(prefix + quote(local, safe=_LOCAL_SAFE))

    def local(self, prefix: str) -> str:
        """The readable part, without the institution's prefix; the whole URI when it has another prefix."""
        return unquote(self.uri[len(prefix) :]) if self.uri.startswith(prefix) else self.uri


class Retention(StrEnum):
    """How long the record is kept (保管期限)."""

    PERMANENT = "永久"
    THIRTY_YEARS = "30年"
    TEN_YEARS = "10年"
    LONG_TERM = "长期"
    SHORT_TERM = "短期"


class SecurityClass(StrEnum):
    """Security class (密级), from open to top secret."""

    PUBLIC = "公开"
    INTERNAL = "内部"
    SECRET = "秘密"  # noqa: S105 - a security class
    CONFIDENTIAL = "机密"
    TOP_SECRET = "绝密"  # noqa: S105 - a security class

    @property
    def is_state_secret(self) -> bool:
        """秘密 and above: in principle not digitised, refused unless the configuration allows it."""
        return self in (SecurityClass.SECRET, SecurityClass.CONFIDENTIAL, SecurityClass.TOP_SECRET)


class OpeningStatus(StrEnum):
    """Whether the record is open to the public (开放状态)."""

    NOT_REVIEWED = "未审核"
    OPEN = "开放"
    RESTRICTED = "控制"
    DEFERRED = "延期开放"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What is said of an object; stored in it as `metadata/object.json`.

    Where nothing is said, the careful value holds: not public, not reviewed.
    """

    title: str | None = None
    reference_code: str | None = None
    fonds: str | None = None
    year: int | None = None
    retention: Retention | None = None
    security_class: SecurityClass = SecurityClass.INTERNAL
    opening_status: OpeningStatus = OpeningStatus.NOT_REVIEWED
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def is_public(self) -> bool:
        """Whether anybody may see the record; only then may a copy of it lie in a public zone."""
        return self.security_class is SecurityClass.PUBLIC and self.opening_status is OpeningStatus.OPEN


class CopyState(StrEnum):
    """What is known of one copy of one version of an object."""

    STORED = "stored"
    """It was written and made durable; nobody has read it back yet."""
    VERIFIED = "verified"
    """All its bytes were read back and hashed."""
    DAMAGED = "damaged"
    """It was read and found bad, or missing; it is never a source until it is healed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveRecord:
    """An archive on the backup base, as we made it and read it back."""

    name: str
    id: str
    """The base's own digest of the archive."""
    created: datetime
    versions: int
    """Object versions in it."""
    stored_bytes: int
    """What the base grew by."""


class EventType(StrEnum):
    """What happened, in the words of the PREMIS vocabulary (id.loc.gov/vocabulary/preservation/eventType)."""

    INGESTION = "ingestion"
    REPLICATION = "replication"
    FIXITY_CHECK = "fixity check"


class EventOutcome(StrEnum):
    """How it ended (PREMIS eventOutcome)."""

    SUCCESS = "success"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRecord:
    """What the catalogue knows of one version of an object; all of it can be read from storage again."""

    number: int
    created: datetime
    message: str
    agent: str
    inventory_digest: str
    """Digest of the version's `inventory.json`, hex; the algorithm is the inventory's own."""
    files: int
    """Payload files (below `data/`)."""
    size_bytes: int
    """Bytes of the payload."""
    stored_bytes: int
    """Bytes of the content files that this version added on storage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRecord:
    """What the catalogue knows of an object: its head version's metadata and all its versions, oldest first."""

    id: ObjectId
    object_path: str
    """Folder of the object below the storage root, the same on every tier."""
    metadata: Metadata
    versions: tuple[VersionRecord, ...]

    @property
    def head(self) -> VersionRecord:
        """The newest version."""
        return self.versions[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionSummary:
    """One version of an object, with the metadata that it had; what any tier can say of it without its payload."""

    id: ObjectId
    object_path: str
    """Folder of the object below the storage root, the same on every tier."""
    metadata: Metadata
    record: VersionRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSummary:
    """One line of a list of objects."""

    id: ObjectId
    object_path: str
    metadata: Metadata
    head: int
    files: int
    size_bytes: int
    updated: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRecord:
    """One copy of one version on one tier."""

    version: int
    tier: str
    state: CopyState
    stored_at: datetime
    verified_at: datetime | None
    location: str | None = None
    """Where exactly, as the tier said when it was put there; opaque."""


class TransferState(StrEnum):
    """How it stands with a copy that is wanted and not there yet."""

    WAITING = "waiting"
    CONFLICT = "conflict"
    """Something else lies there under its name, or the tier refuses it: a person must look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One version that a tier should hold, by policy, and does not hold as a verified copy yet."""

    object_id: ObjectId
    object_path: str
    version: int
    tier: str
    state: TransferState
    wanted_at: datetime
    """When the version was made: since then the copy is owed."""
    verified_copies: int
    """Verified copies of this version elsewhere; the fewer, the more urgent."""
    stored_bytes: int
    inventory_digest: str
    attempts: int = 0
    problem: str | None = None
    """Why the last attempt failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferTotals:
    """What one tier is owed."""

    tier: str
    state: TransferState
    copies: int
    stored_bytes: int
    oldest: datetime | None
    """Since when the oldest of them is owed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to an object, a tier or the repository."""

    type: EventType
    at: datetime
    outcome: EventOutcome
    agent: str
    object_id: ObjectId | None = None
    version: int | None = None
    tier: str | None = None
    detail: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A version that is about to be put into place on a tier; at most one for an object at any time.

    Recorded before the first rename, cleared in the transaction that records the version.
    """

    object_id: ObjectId
    object_path: str
    version: int
    session: str
    """The staging session of the process that does it; dead when its lock can be taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the whole repository holds; kept up to date in every transaction that changes it."""

    objects: int = 0
    versions: int = 0
    files: int = 0
    size_bytes: int = 0
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TierTotals:
    """Copies on one tier."""

    tier: str
    state: CopyState
    copies: int
    stored_bytes: int
