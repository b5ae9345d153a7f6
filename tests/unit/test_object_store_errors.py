"""What a server's refusals are called here, and that the heavy libraries are loaded only when they are wanted."""

import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, IncompleteReadError, ReadTimeoutError
from urllib3.exceptions import ProtocolError

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
from storage_tiers.object_store.errors import BytesAlteredError, store_errors


def translated(error: Exception) -> RepositoryError:
    with pytest.raises(RepositoryError) as caught, store_errors("https://s3/bucket/key"):
        raise error
    assert caught.value.__cause__ is error
    assert "https://s3/bucket/key" in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("SlowDown", 503, TierUnavailableError),
        ("Whatever", 500, TierUnavailableError),
        ("", 429, TierUnavailableError),
        ("NoSuchBucket", 404, TierUnavailableError),
        ("NoSuchKey", 404, NotFoundError),
        ("404", 404, NotFoundError),
        ("PreconditionFailed", 412, CopyConflictError),
        ("ConditionalRequestConflict", 409, CopyConflictError),
        ("QuotaExceeded", 403, TierFullError),
        ("Whatever", 507, TierFullError),
        ("BadDigest", 400, BytesAlteredError),
        ("XAmzContentSHA256Mismatch", 400, BytesAlteredError),
        ("InvalidAccessKeyId", 403, TierDeniedError),
        ("RequestTimeTooSkewed", 403, TierDeniedError),
        ("403", 403, TierDeniedError),
        ("PermanentRedirect", 301, TierDeniedError),
        ("InvalidObjectState", 403, UnreadableError),
        ("InvalidRange", 416, IntegrityError),
        ("NeverHeardOf", 400, TierError),
    ],
)
def test_each_refusal_has_its_own_error(code: str, status: int, kind: type[RepositoryError]) -> None:
    response = {"Error": {"Code": code, "Message": None}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error = translated(ClientError(response, "GetObject"))  # type: ignore[arg-type]
    assert type(error) is kind
    assert str(status) in str(error)
    assert error.retryable is issubclass(kind, TierUnavailableError | TierFullError)


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url="https://s3", error=TimeoutError("slow")),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        ProtocolError("reset"),
        ConnectionResetError("reset"),
    ],
)
def test_a_line_that_breaks_is_unavailable_and_can_be_tried_again(error: Exception) -> None:
    assert type(translated(error)) is TierUnavailableError


def test_our_own_errors_and_mistakes_in_the_program_pass() -> None:
    with pytest.raises(ZeroDivisionError), store_errors("x"):
        raise ZeroDivisionError
    ours = NotFoundError("gone")
    with pytest.raises(NotFoundError) as caught, store_errors("x"):
        raise ours
    assert caught.value is ours


def test_importing_the_driver_does_not_load_boto3() -> None:
    program = "import sys, storage_tiers.object_store; print({'boto3', 'botocore', 'urllib3'} & set(sys.modules))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
