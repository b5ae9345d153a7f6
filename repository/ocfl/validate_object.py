"""One OCFL object: everything that is wrong with it, by the specification's codes."""

from dataclasses import dataclass
from pathlib import Path

from repository.errors import InvalidInputError, NotFoundError, TierUnavailableError
from repository.ocfl.codes import Finding
from repository.ocfl.inventory import (
    DEFAULT_CONTENT_DIRECTORY,
    INVENTORY_FILE,
    VersionNumber,
)
from repository.ocfl.validate_content import ContentCheck
from repository.ocfl.validate_draft import InventoryDraft
from repository.ocfl.validate_files import Listing, Notes
from repository.ocfl.validate_history import compare_inventories, compare_spec_versions
from repository.ocfl.validate_readers import Readers, open_readers
from repository.ocfl.validate_structure import (
    ObjectShape,
    StoredDraft,
    examine_object_root,
    examine_stored_inventory,
)
from repository.stop import StopToken


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectReport:
    """What validation found in one object.

    Args:
        object: its identifier where that is known, else its path.
        path: as it was given.
        findings: errors and warnings; none when there is nothing to say.
        spec_version: the OCFL version that the object declares, where that is clear.
    """

    object: str
    path: str
    findings: tuple[Finding, ...]
    spec_version: str | None = None

    @property
    def is_valid(self) -> bool:
        """Whether there are warnings at most."""
        return all(finding.severity != "error" for finding in self.findings)


def validate_object(
    path: Path | str,
    *,
    check_digests: bool = True,
    stop: StopToken | None = None,
    root_spec_version: str | None = None,
    workers: int = 1,
) -> list[Finding]:
    """Everything that is wrong with one object, and everything that should be better.

    Args:
        path: the object root.
        check_digests: read and hash every content file once; False compares names and sizes.
        stop: polled between files and chunks of 1 MiB.
        root_spec_version: OCFL version of the storage root around it, where there is one.
        workers: content files read at the same time.

    Returns: findings; an object is valid when none is an error. Memory: the inventories and the file names of
        the object, and 1 MiB for each worker.

    Raises:
        NotFoundError: there is nothing at the path.
        InvalidInputError: it is not a directory.
        OperationCancelledError: stop was set.
    """
    report = report_on_object(
        Path(path), check_digests=check_digests, stop=stop, root_spec_version=root_spec_version, workers=workers
    )
    return list(report.findings)


def report_on_object(
    path: Path,
    *,
    check_digests: bool = True,
    stop: StopToken | None = None,
    root_spec_version: str | None = None,
    workers: int = 1,
) -> ObjectReport:
    """The same as `validate_object`, with the object's identifier and its OCFL version."""
    with open_readers(workers) as readers:
        return examine_object(
            path,
            readers=readers if check_digests else None,
            stop=stop or StopToken(),
            root_spec_version=root_spec_version,
        )


def examine_object(
    path: Path, *, readers: Readers | None, stop: StopToken, root_spec_version: str | None, below: str = ""
) -> ObjectReport:
    """The same once more, for a run over many objects with one pool of readers.

    Args:
        path: the object root.
        readers: read the content files; None reads none.
        stop: polled between files and chunks.
        root_spec_version: OCFL version of the storage root around it.
        below: put before every finding's path.
    """
    require_directory(path)
    notes = Notes(root=path, stop=stop)
    shape = examine_object_root(notes)
    identifier = None
    if shape is not None:
        if root_spec_version and shape.spec_version and shape.spec_version > root_spec_version:
            message = f"the object declares OCFL {shape.spec_version}, its storage root only {root_spec_version}"
            notes.add("E081", "", message)
        content = ContentCheck(notes=notes)
        identifier = _examine_object(notes, shape, content)
        content.verify(readers)
    name = identifier or below or str(path)
    return ObjectReport(
        object=name,
        path=below or str(path),
        findings=tuple(notes.findings(name, below=below)),
        spec_version=shape.spec_version if shape is not None else None,
    )


def _examine_object(notes: Notes, shape: ObjectShape, content: ContentCheck) -> str | None:
    """Everything but reading the content; the object's identifier where there is a usable one."""
    stored = None
    if shape.has_inventory:
        stored = examine_stored_inventory(notes, "", shape.sidecars, spec_version=shape.spec_version)
    else:
        notes.add("E063", "", "there is no inventory.json in the object's directory")
    _VersionDirectories(notes, shape, stored, content).examine()
    return stored.draft.id if stored is not None else None


def require_directory(path: Path) -> None:
    """Make sure that there is a directory to look at.

    Raises:
        NotFoundError: there is nothing.
        InvalidInputError: it is something else.
        TierUnavailableError: the system cannot say.
    """
    try:
        mode_is_directory = path.is_dir()
        exists = mode_is_directory or path.exists()
    except OSError as error:
        raise TierUnavailableError(
            "A path cannot be looked at",
            where=path,
            why=error.strerror,
            next_step="check the disk and its permissions",
        ) from error
    if not exists:
        raise NotFoundError("There is nothing at this path", where=path, next_step="check the path")
    if not mode_is_directory:
        raise InvalidInputError(
            "This is a file, not the directory of an OCFL object or storage root",
            where=path,
            next_step="give the directory that holds the object's inventory.json, or the storage root",
        )


@dataclass(frozen=True, slots=True)
class _VersionDirectories:
    """The version directories of an object, against its inventory."""

    notes: Notes
    shape: ObjectShape
    stored: StoredDraft | None
    content: ContentCheck

    def examine(self) -> None:
        root = self.stored.draft if self.stored is not None else InventoryDraft()
        if self.stored is not None:
            self._note_root_inventory(root)
        self._compare_names(root)
        content_directory = root.content_directory or DEFAULT_CONTENT_DIRECTORY
        listings: dict[str, Listing] = {}
        for name, number in sorted(self.shape.version_directories.items(), key=lambda item: (item[1], item[0])):
            listing = self.notes.listing(name)
            if listing is not None:
                listings[name] = listing
                self._examine_names(name, listing, content_directory)
                if content_directory in listing.directories and self._is_known(root, number):
                    self.content.walk(name, number, content_directory)
                elif content_directory not in listing.directories:
                    self._note_missing_content_directory(root, name, content_directory)
        if self.stored is not None:
            self.content.compare(root, self.stored.path, None)
        self._examine_inventories(root, listings)

    def _note_root_inventory(self, root: InventoryDraft) -> None:
        for problem in root.problems:
            self.notes.add(problem.code, INVENTORY_FILE, problem.message)
        declared = self.shape.spec_version
        is_clear = declared is not None and root.spec_version is not None
        if is_clear and root.spec_version != declared:
            self.notes.add(
                "E038", INVENTORY_FILE, f"the type says OCFL {root.spec_version}, the object declares OCFL {declared}"
            )

    def _compare_names(self, root: InventoryDraft) -> None:
        """Version directories on storage against the keys of the versions block."""
        on_storage = self.shape.version_directories
        if not on_storage:
            self.notes.add("E008", "", "the object has no version directory")
        if not root.has_versions_block:
            return
        described = {version.name: number for number, version in root.versions.items()}
        for name in sorted(described.keys() - on_storage.keys()):
            self.notes.add("E046", name, "the inventory describes this version, but its directory is missing")
            if any(number > described[name] for number in on_storage.values()):
                self.notes.add("E010", name, "this version directory is missing before later ones")
        for name in sorted(on_storage.keys() - described.keys()):
            self.notes.add("E046", name, "this version directory is not described in the object's inventory")
            self.notes.add("E001", name, "this directory is no version of the object")

    def _is_known(self, root: InventoryDraft, number: VersionNumber) -> bool:
        return number in root.versions if root.has_versions_block else True

    def _examine_names(self, name: str, listing: Listing, content_directory: str) -> None:
        for file in listing.files:
            if file != INVENTORY_FILE and not file.startswith(f"{INVENTORY_FILE}."):
                self.notes.add("E015", f"{name}/{file}", "this file is neither the version's inventory nor content")
        for directory in listing.directories:
            if directory == INVENTORY_FILE:
                self.notes.add("E034", f"{name}/{directory}", "the inventory must be a file; this is a directory")
            elif directory != content_directory:
                self.notes.add("W002", f"{name}/{directory}", "this directory is not the version's content directory")

    def _note_missing_content_directory(self, root: InventoryDraft, name: str, content_directory: str) -> None:
        prefix = f"{name}/{content_directory}/"
        if any(path.startswith(prefix) for paths in root.manifest.values() for path in paths):
            self.notes.add("E016", name, f"the version holds files, but has no directory {content_directory}")

    def _examine_inventories(self, root: InventoryDraft, listings: dict[str, Listing]) -> None:
        """The inventories in version directories, from version 1 up; one is held in memory at a time."""
        releases: list[tuple[str, str | None]] = []
        for name, listing in listings.items():
            number = self.shape.version_directories[name]
            sidecars = tuple(file for file in listing.files if file.startswith(f"{INVENTORY_FILE}."))
            if INVENTORY_FILE not in listing.files:
                self.notes.add("W010", name, "the version directory has no inventory of its own")
                for sidecar in sidecars:
                    self.notes.add("E015", f"{name}/{sidecar}", "this sidecar belongs to no inventory")
                continue
            earlier = examine_stored_inventory(
                self.notes, name, sidecars, spec_version=self.shape.spec_version, known=self.stored
            )
            if earlier is not None:
                releases.append((earlier.path, earlier.draft.spec_version))
                self._examine_inventory(root, number, earlier)
        if self.stored is not None:
            compare_spec_versions(self.notes, [*releases, (self.stored.path, root.spec_version)])

    def _examine_inventory(self, root: InventoryDraft, number: VersionNumber, earlier: StoredDraft) -> None:
        is_same = self.stored is not None and earlier.data == self.stored.data
        newest = max(root.versions, default=None)
        if not is_same:
            if number == newest:
                self.notes.add("E064", earlier.path, "this inventory is not the same as the object's own")
            self._note_problems(root, earlier)
            self.content.compare(earlier.draft, earlier.path, number)
        if self.stored is not None:
            compare_inventories(self.notes, path=earlier.path, number=number, earlier=earlier.draft, current=root)

    def _note_problems(self, root: InventoryDraft, earlier: StoredDraft) -> None:
        """What the object's own inventory was warned about already is not said again for every version."""
        known = {(problem.code, problem.message) for problem in root.problems if problem.severity == "warning"}
        for problem in earlier.draft.problems:
            if (problem.code, problem.message) not in known:
                self.notes.add(problem.code, earlier.path, problem.message)
