"""What an examined inventory turned out to hold, as far as it could be understood, and what is wrong with it."""

from dataclasses import dataclass, field

from repository.ocfl.codes import Severity, severity_of
from repository.ocfl.inventory import DEFAULT_CONTENT_DIRECTORY, Inventory, VersionBlock, VersionNumber


@dataclass(frozen=True, slots=True)
class Problem:
    """A code and what is wrong, without saying in which file: one parser serves many files."""

    code: str
    message: str

    @property
    def severity(self) -> Severity:
        """`error` or `warning`."""
        return severity_of(self.code)


@dataclass(slots=True, kw_only=True)
class VersionDraft:
    """What could be understood of one version block; None where it says nothing usable."""

    name: str
    created: str | None = None
    message: str | None = None
    user_name: str | None = None
    user_address: str | None = None
    state: dict[str, tuple[str, ...]] = field(default_factory=dict)
    state_keys: list[str] = field(default_factory=list)
    is_state_readable: bool = False

    def particulars(self) -> dict[str, object]:
        """What is said of the version besides its state, for comparison."""
        return {
            "created": self.created,
            "message": self.message,
            "user": (self.user_name, self.user_address),
        }


@dataclass(slots=True, kw_only=True)
class InventoryDraft:
    """An inventory while it is being examined, and afterwards whatever of it is usable.

    Digests are in lower case, except in `manifest_keys` and `VersionDraft.state_keys`, which keep the letters
    as they are written. `manifest` has only paths that are safe to join to the object root.
    """

    problems: list[Problem] = field(default_factory=list)
    is_json: bool = False
    id: str | None = None
    spec_version: str | None = None
    algorithm: str | None = None
    head: VersionNumber | None = None
    content_directory: str | None = DEFAULT_CONTENT_DIRECTORY
    content_directory_declared: bool = False
    manifest: dict[str, tuple[str, ...]] = field(default_factory=dict)
    manifest_keys: list[str] = field(default_factory=list)
    is_manifest_readable: bool = False
    versions: dict[VersionNumber, VersionDraft] = field(default_factory=dict)
    misnamed_versions: list[VersionDraft] = field(default_factory=list)
    has_versions_block: bool = False
    fixity: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)

    def add(self, code: str, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(code, message))

    @property
    def is_old(self) -> bool:
        """Whether the rules and codes of OCFL 1.0 hold for it."""
        return self.spec_version == "1.0"

    @property
    def has_errors(self) -> bool:
        """Whether anything more than a warning was found."""
        return any(problem.severity == "error" for problem in self.problems)

    @property
    def inventory(self) -> Inventory | None:
        """The inventory, when there is no error in it."""
        if self.has_errors or self.id is None or self.head is None:
            return None
        if self.spec_version is None or self.algorithm is None or self.content_directory is None:
            return None
        return Inventory(
            id=self.id,
            spec_version=self.spec_version,
            digest_algorithm=self.algorithm,
            head=self.head,
            content_directory=self.content_directory,
            content_directory_declared=self.content_directory_declared,
            manifest=self.manifest,
            versions={number: _block(self.versions[number]) for number in sorted(self.versions)},
            fixity=self.fixity,
        )


def _block(draft: VersionDraft) -> VersionBlock:
    return VersionBlock(
        created=draft.created or "",
        state=draft.state,
        message=draft.message,
        user_name=draft.user_name,
        user_address=draft.user_address,
    )
