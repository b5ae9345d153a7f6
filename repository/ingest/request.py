"""What is asked of an ingest, and what it answers for each package."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Protocol

from repository.errors import RepositoryError
from repository.model import ObjectId
from repository.packages.package import Limits

Format = Literal["auto", "folder", "bagit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestRequest:
    """One package to take in.

    Args:
        source: a folder or an archive.
        identifier: what a person said it is; None leaves it to the metadata, the bag or the folder's name.
        metadata: any of `identifier` and repository.aip.METADATA_KEYS, not yet checked.
        metadata_source: where they come from, for messages.
    """

    source: Path
    format: Format = "auto"
    identifier: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    metadata_source: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestRules:
    """What holds for every package of a run.

    Args:
        identifier_prefix: of the institution.
        digest_algorithm: of new objects, `sha512` or `sha256`.
        allow_state_secrets: take in 秘密 and above.
        reserve_bytes: that stay free on the tier.
        limits: of a package.
        agent: the name of the person or service that ingests.
        software: name and release of the program.
    """

    identifier_prefix: str
    digest_algorithm: str = "sha512"
    allow_state_secrets: bool = False
    reserve_bytes: int = 0
    limits: Limits = field(default_factory=Limits)
    agent: str
    software: str


class IngestStatus(StrEnum):
    """How it went for one package."""

    NEW_OBJECT = "new object"
    NEW_VERSION = "new version"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    """Something is wrong with the package."""
    FAILED = "failed"
    """The package may be right, but could not be taken in now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestOutcome:
    """The answer for one package. New objects and versions are durable and in the catalogue when it is given."""

    source: Path
    status: IngestStatus
    object_id: ObjectId | None = None
    version: int | None = None
    files: int = 0
    size_bytes: int = 0
    stored_bytes: int = 0
    warnings: tuple[str, ...] = ()
    error: RepositoryError | None = None

    @property
    def is_acknowledged(self) -> bool:
        """Whether the package's content is safe in the repository."""
        return self.status in (IngestStatus.NEW_OBJECT, IngestStatus.NEW_VERSION, IngestStatus.UNCHANGED)


class Meter(Protocol):
    """What is told how far the work has come; called from several threads and processes."""

    def listed(self, size_bytes: int) -> None:
        """A package was opened; it has so many bytes."""
        ...

    def read(self, size_bytes: int) -> None:
        """So many bytes of a package were read and hashed."""
        ...
