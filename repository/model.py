"""The domain's own types: frozen, and parsed where text comes in."""

import re
import unicodedata
from dataclasses import dataclass, field
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
        local = unquote(text[len(prefix) :]) if text.startswith(prefix) else text
        local = unicodedata.normalize("NFC", local)
        if not local or len(local.encode()) > MAX_IDENTIFIER_BYTES or _CONTROL.search(local):
            raise InvalidInputError(
                "This cannot be the identifier of an object",
                where=repr(text),
                why=f"it is empty, longer than {MAX_IDENTIFIER_BYTES} bytes, or has control characters",
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
