"""What goes wrong between us and an object store, in our own words: the only place that knows botocore's errors."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from repository.errors import (
    CopyConflictError,
    IntegrityError,
    NotFoundError,
    RepositoryError,
    TierDeniedError,
    TierError,
    TierFullError,
    TierUnavailableError,
    UnreadableError,
)


class BytesAlteredError(TierUnavailableError):
    """The server saw other bytes than we sent, and refused them: nothing is stored, and sending again may help."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a refusal comes to: the error, and what to tell."""

    kind: type[RepositoryError]
    what: str
    next_step: str | None = None

    def error(self, where: str, why: str) -> RepositoryError:
        return self.kind(self.what, where=where, why=why, next_step=self.next_step)


_NO_BUCKET = _Meaning(
    TierUnavailableError,
    "There is no such bucket",
    "check the bucket's name and the endpoint in the configuration, or make the bucket",
)
_ABSENT = _Meaning(NotFoundError, "This is not in the object store")
_TAKEN = _Meaning(CopyConflictError, "Something lies in the object store under this name already")
_FULL = _Meaning(
    TierFullError,
    "There is no space left in the object store",
    "raise the bucket's quota or add space, then run again: what is finished is not done twice",
)
_ALTERED = _Meaning(
    BytesAlteredError,
    "The bytes did not arrive as they were sent; the object store refused them",
    "run again; if it happens often, look for a faulty network device or proxy on the way",
)
_KEYS = _Meaning(
    TierDeniedError, "The object store does not accept the keys", "check the tier's access_key and secret_key"
)
_CLOCK = _Meaning(
    TierDeniedError,
    "The clocks of this machine and of the object store differ too much",
    "set this machine's clock (chrony or systemd-timesyncd keep it right), then run again",
)
_REGION = _Meaning(
    TierDeniedError,
    "The bucket is in another region, or behind another endpoint",
    "correct the tier's region and endpoint",
)
_DENIED = _Meaning(
    TierDeniedError,
    "The object store refused permission",
    "check the keys, what their owner may do in this bucket, this machine's clock, and whether the object is locked",
)
_COLD = _Meaning(UnreadableError, "The object lies in cold storage and has to be recalled before it can be read")
_TOO_SHORT = _Meaning(IntegrityError, "The stored object is shorter than it must be")
_NOT_DONE = _Meaning(TierDeniedError, "The object store does not do this")
_BUSY = _Meaning(
    TierUnavailableError,
    "The object store is overloaded or has a fault of its own",
    "wait and run again; if it stays, look at the server's log",
)
_REFUSED = _Meaning(
    TierError,
    "The object store refused a request",
    "look up the server's code; `jindang tier validate` shows what the server can do",
)
_NO_KEYS = _Meaning(
    TierDeniedError,
    "No keys for the object store were found",
    "give the tier's access_key and secret_key in the configuration",
)
_NOT_TRUSTED = _Meaning(
    TierDeniedError,
    "The object store is not trusted: its certificate could not be verified",
    "put the certificate of the authority that signed it into the tier's ca_file, and check that the endpoint's name "
    "is the one in the certificate",
)
_NOT_REACHED = _Meaning(
    TierUnavailableError,
    "The object store cannot be reached",
    "check the endpoint's name and port, the network, and that the server runs; then run again",
)
_CUT_OFF = _Meaning(
    TierUnavailableError,
    "The connection to the object store broke off",
    "check the network and the server's log, then run again: what is finished is not done twice",
)
_SETTINGS = _Meaning(
    TierError,
    "The object store cannot be used with these settings",
    "check endpoint, region, bucket and keys in the configuration",
)

_BY_CODE: Mapping[str, _Meaning] = {
    code: meaning
    for meaning, codes in (
        (_NO_BUCKET, ("NoSuchBucket",)),
        (_ABSENT, ("NoSuchKey", "NoSuchVersion", "NoSuchUpload", "NotFound", "404")),
        (_TAKEN, ("PreconditionFailed", "ConditionalRequestConflict", "412")),
        (_FULL, ("QuotaExceeded", "InsufficientCapacity", "XMinioStorageFull")),
        (
            _ALTERED,
            (
                "BadDigest",
                "XAmzContentSHA256Mismatch",
                "InvalidDigest",
                "IncompleteBody",
                "XAmzContentChecksumMismatch",
            ),
        ),
        (
            _KEYS,
            ("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "InvalidClientTokenId"),
        ),
        (_CLOCK, ("RequestTimeTooSkewed", "RequestExpired")),
        (
            _REGION,
            ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301"),
        ),
        (_COLD, ("InvalidObjectState",)),
        (_TOO_SHORT, ("InvalidRange", "416")),
        (_NOT_DONE, ("NotImplemented", "MethodNotAllowed", "InvalidBucketState", "501")),
    )
    for code in codes
}
_BY_STATUS: Mapping[int, _Meaning] = {
    **dict.fromkeys((408, 425, 429, 500, 502, 503, 504), _BUSY),
    403: _DENIED,
    507: _FULL,
}


@contextlib.contextmanager
def store_errors(where: str) -> Iterator[None]:
    """Translate everything that botocore and urllib3 raise inside into the error that it means.

    Args:
        where: bucket and key, or the endpoint.
    """
    try:
        yield
    except RepositoryError:
        raise
    except Exception as error:
        translated = _translated(error, where)
        if translated is None:
            raise
        raise translated from error


def _translated(error: Exception, where: str) -> RepositoryError | None:
    from botocore import exceptions as boto
    from urllib3.exceptions import HTTPError

    if isinstance(error, boto.ClientError):
        return _refusal(error.response, where)
    kinds: tuple[tuple[tuple[type[Exception], ...], _Meaning], ...] = (  # special ones before what they derive from
        ((boto.SSLError,), _NOT_TRUSTED),
        ((boto.NoCredentialsError, boto.PartialCredentialsError), _NO_KEYS),
        ((boto.EndpointConnectionError, boto.ConnectTimeoutError), _NOT_REACHED),
        ((boto.IncompleteReadError, boto.ResponseStreamingError, boto.HTTPClientError), _CUT_OFF),
        ((boto.ConnectionError, HTTPError), _CUT_OFF),
        ((boto.BotoCoreError, ValueError), _SETTINGS),
        ((OSError,), _CUT_OFF),
    )
    for classes, meaning in kinds:
        if isinstance(error, classes):
            return meaning.error(where, _reason(error))
    if isinstance(error, _parser_error()):
        return _CUT_OFF.error(where, "its answer is not S3's")
    return None


def _parser_error() -> type[Exception]:
    from botocore.parsers import ResponseParserError

    kind: type[Exception] = ResponseParserError
    return kind


def _refusal(response: Mapping[str, Any], where: str) -> RepositoryError:
    """What an answer with an error code means; a HEAD has no code but the status."""
    details = response.get("Error", {})
    code, status = str(details.get("Code", "")), int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    words = (code, details.get("Message") or "", f"HTTP {status}")
    meaning = _BY_CODE.get(code) or _BY_STATUS.get(status) or _REFUSED
    return meaning.error(where, ", ".join(dict.fromkeys(word for word in words if word)))


def _reason(error: Exception) -> str:
    """The innermost cause: what botocore wraps twice."""
    inner = getattr(error, "kwargs", {}).get("error") or error
    return str(getattr(inner, "reason", None) or inner)
