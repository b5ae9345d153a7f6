"""A whole OCFL storage root, object after object (OCFL 1.1 section 4)."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from repository.errors import ConfigError, InvalidInputError
from repository.ocfl.codes import REGISTERED_EXTENSIONS, Finding
from repository.ocfl.inventory import INVENTORY_FILE, SPEC_VERSIONS
from repository.ocfl.layout import EXTENSIONS_DIRECTORY, LAYOUT_FILE, Layout, read_layout
from repository.ocfl.validate_files import Listing, Notes, read_plain
from repository.ocfl.validate_json import JsonError, JsonObject, load_json
from repository.ocfl.validate_object import ObjectReport, examine_object, require_directory
from repository.ocfl.validate_readers import Readers, open_readers
from repository.ocfl.validate_structure import MAX_SMALL_FILE_BYTES, declaration_problems
from repository.stop import StopToken

_DECLARATION: Final = re.compile(r"[0-9]=ocfl.*", re.ASCII | re.DOTALL)
_MAX_NAMED: Final = 5


def validate_storage_root(
    path: Path | str,
    *,
    check_digests: bool = True,
    stop: StopToken | None = None,
    workers: int = 1,
) -> Iterator[Finding]:
    """Everything that is wrong with a storage root and with each object in it, as it is found.

    Args:
        path: the storage root.
        check_digests: read and hash every content file once.
        stop: polled between objects, files and chunks.
        workers: content files read at the same time.

    Raises:
        NotFoundError: there is nothing at the path.
        InvalidInputError: it is not a directory.
        OperationCancelledError: stop was set.
    """
    reports = report_on_storage_root(path, check_digests=check_digests, stop=stop, workers=workers)
    for report in reports:
        yield from report.findings


def report_on_storage_root(
    path: Path | str,
    *,
    check_digests: bool = True,
    stop: StopToken | None = None,
    workers: int = 1,
) -> Iterator[ObjectReport]:
    """The same, one report for each object; reports with an empty path are on the storage root itself.

    Memory: one object, and the names in the directories on the way to it; without a known layout also 8 bytes
    of every identifier, to find two objects with the same one.
    """
    root = Path(path)
    require_directory(root)
    return _reports(Notes(root=root, stop=stop or StopToken()), check_digests=check_digests, workers=workers)


def _reports(notes: Notes, *, check_digests: bool, workers: int) -> Iterator[ObjectReport]:
    with open_readers(workers) as readers:
        yield from _RootWalk(notes=notes, readers=readers if check_digests else None).reports()


@dataclass(slots=True, kw_only=True)
class _RootWalk:
    """The state of one pass over a storage root."""

    notes: Notes
    readers: Readers | None
    spec_version: str | None = None
    layout: Layout | None = None
    top_level_objects: int = 0
    deeper_objects: int = 0
    seen: set[int] = field(default_factory=set)

    def reports(self) -> Iterator[ObjectReport]:
        top = self.notes.listing("")
        if top is None:
            yield self._report()
            return
        self._examine_declarations(top)
        self._examine_layout(top)
        if EXTENSIONS_DIRECTORY in top.directories:
            self._examine_extensions()
        yield self._report()
        for name in top.directories:
            if name != EXTENSIONS_DIRECTORY:
                yield from self._below_top_level(name)
        if self.top_level_objects and self.deeper_objects:
            self.notes.add(
                "W015",
                "",
                f"{self.top_level_objects} objects lie directly in the storage root and {self.deeper_objects} deeper",
            )
        if self.notes.notes:
            yield self._report()

    def _report(self) -> ObjectReport:
        """What was noted of the root itself since the last time."""
        findings = tuple(self.notes.findings(str(self.notes.root)))
        self.notes.notes.clear()
        return ObjectReport(object=str(self.notes.root), path="", findings=findings, spec_version=self.spec_version)

    def _below_top_level(self, name: str) -> Iterator[ObjectReport]:
        count = 0
        has_files = False
        is_known = True
        waiting = [name]
        while waiting:
            where = waiting.pop()
            listing = self.notes.listing(where, note_unwanted=False)
            if listing is None:
                is_known = False
            elif _is_object(listing):
                count += 1
                yield self._object(where, listing)
            else:
                self.notes.add_unwanted(listing, where)
                has_files |= bool(listing.files)
                self._examine_hierarchy(where, listing)
                waiting += [f"{where}/{each}" for each in reversed(listing.directories)]
            if self.notes.notes:
                yield self._report()
        if is_known and has_files and not count:
            self.notes.add("E088", name, "this directory is neither for objects nor for extensions")
            yield self._report()

    def _object(self, where: str, listing: Listing) -> ObjectReport:
        if "/" in where:
            self.deeper_objects += 1
        else:
            self.top_level_objects += 1
        if not any(file.startswith("0=ocfl_object_") for file in listing.files):
            self.notes.add("E072", where, "the files here belong to no object, because no declaration makes them one")
        report = examine_object(
            self.notes.root / where,
            readers=self.readers,
            stop=self.notes.stop,
            root_spec_version=self.spec_version,
            below=where,
        )
        if report.object != where:
            self._examine_place(report.object, where)
        return report

    def _examine_place(self, object_id: str, where: str) -> None:
        """An object should lie where the declared layout puts it, and no other may have its identifier."""
        if self.layout is not None:
            try:
                expected = self.layout.object_path(object_id)
            except InvalidInputError:
                expected = None
            if expected == where:
                return
            place = f"at {expected}" if expected else "nowhere"
            self.notes.add("W014", where, f"the declared layout puts this object {place}")
        key = int.from_bytes(hashlib.blake2b(object_id.encode(), digest_size=8).digest())
        is_double = key in self.seen
        if self.layout is not None and not is_double:
            is_double = expected is not None and (self.notes.root / expected / INVENTORY_FILE).is_file()
        self.seen.add(key)
        if is_double:
            self.notes.add("E037", where, f"another object in this storage root has the identifier {object_id!r:.200}")

    def _examine_hierarchy(self, where: str, listing: Listing) -> None:
        if listing.is_empty:
            self.notes.add("E073", where, "this directory is empty")
        if listing.files:
            more = f" and {len(listing.files) - _MAX_NAMED} more" if len(listing.files) > _MAX_NAMED else ""
            shown = ", ".join(listing.files[:_MAX_NAMED])
            self.notes.add("E072", where, f"files here belong to no object: {shown}{more}")

    def _examine_declarations(self, top: Listing) -> None:
        found = [name for name in top.files if _DECLARATION.fullmatch(name)]
        if not any(name.startswith("0=ocfl_") for name in found):
            self.notes.add("E069", "", "there is no storage root declaration such as 0=ocfl_1.1 here")
        if len(found) > 1:
            self.notes.add("E076", "", f"there is more than one declaration: {', '.join(found)}")
        versions = []
        for name in found:
            try:
                data = read_plain(self.notes.root / name, MAX_SMALL_FILE_BYTES)
            except OSError as error:
                self.notes.add_unreadable(name, error)
                continue
            codes = ("E077", "E078", "E079", "E080")
            for code, message in declaration_problems(name, data, prefix="ocfl_", codes=codes):
                self.notes.add(code, name, message)
            versions.append(name.removeprefix("0=ocfl_"))
        self.spec_version = max((each for each in versions if each in SPEC_VERSIONS), default=None)

    def _examine_layout(self, top: Listing) -> None:
        if LAYOUT_FILE not in top.files:
            return
        try:
            data = read_plain(self.notes.root / LAYOUT_FILE, MAX_SMALL_FILE_BYTES)
            document = load_json(data)
        except OSError as error:
            self.notes.add_unreadable(LAYOUT_FILE, error)
            return
        except JsonError as error:
            self.notes.add("E070", LAYOUT_FILE, f"the file cannot be read: {error.what}")
            return
        if not isinstance(document, JsonObject):
            self.notes.add("E070", LAYOUT_FILE, "the file is not a JSON object")
            return
        for key in ("extension", "description"):
            if not isinstance(document.get(key), str):
                self.notes.add("E070", LAYOUT_FILE, f"there is no {key} that is text")
        extension = document.get("extension")
        if isinstance(extension, str) and extension not in REGISTERED_EXTENSIONS:
            self.notes.add("E071", LAYOUT_FILE, f"{extension!r:.120} is not the name of a registered extension")
        try:
            self.layout = read_layout(data, self._extension_config, where=str(self.notes.root))
        except (ConfigError, OSError):
            # A layout that is not known here only means that places cannot be compared with it.
            self.layout = None

    def _extension_config(self, extension: str) -> bytes | None:
        try:
            return read_plain(self.notes.root / EXTENSIONS_DIRECTORY / extension / "config.json", MAX_SMALL_FILE_BYTES)
        except FileNotFoundError:
            return None

    def _examine_extensions(self) -> None:
        listing = self.notes.listing(EXTENSIONS_DIRECTORY)
        if listing is None:
            return
        if listing.is_empty:
            self.notes.add("E073", EXTENSIONS_DIRECTORY, "this directory is empty")
        is_old = self.spec_version == "1.0"
        for name in listing.files:
            path = f"{EXTENSIONS_DIRECTORY}/{name}"
            for code in ("E067", "E086") if is_old else ("E067", "E112"):
                self.notes.add(code, path, "the extensions directory must hold directories only")
        for name in listing.directories:
            if name not in REGISTERED_EXTENSIONS:
                code = "W013" if is_old else "W016"
                path = f"{EXTENSIONS_DIRECTORY}/{name}"
                self.notes.add(code, path, "this is not the name of a registered extension")


def _is_object(listing: Listing) -> bool:
    """Whether a directory is an object, or was meant to be one."""
    return INVENTORY_FILE in listing.files or any(name.startswith("0=ocfl_object_") for name in listing.files)
