"""Content files against manifests and fixity blocks; every file is read once, whatever asks for it."""

import os
from dataclasses import dataclass, field

from repository.hashing import ALGORITHMS, SIZE, MultiHasher, copy_and_hash
from repository.ocfl.inventory import VersionNumber
from repository.ocfl.validate_draft import InventoryDraft
from repository.ocfl.validate_files import Notes, is_plain_file, open_plain
from repository.ocfl.validate_readers import Readers, chunk_buffer


@dataclass(frozen=True, slots=True)
class Expectation:
    """A digest that one inventory states, and the code to report when the file has another one."""

    code: str
    inventory_path: str


@dataclass(slots=True, kw_only=True)
class ContentCheck:
    """The content files that lie in an object, and what its inventories say of them.

    Args:
        notes: takes what is wrong.
        stored: content files on storage, by version, relative to the object root.
        expected: content path -> algorithm -> digest -> who says so.
    """

    notes: Notes
    stored: dict[VersionNumber, frozenset[str]] = field(default_factory=dict)
    expected: dict[str, dict[str, dict[str, Expectation]]] = field(default_factory=dict)
    missing: set[tuple[str, str]] = field(default_factory=set)

    def walk(self, directory: str, number: VersionNumber, content_directory: str) -> None:
        """Take in the content files of one version directory; links and empty directories are noted."""
        top = f"{directory}/{content_directory}"
        files: list[str] = []
        waiting = [top]
        while waiting:
            where = waiting.pop()
            listing = self.notes.listing(where)
            if listing is None:
                continue
            if listing.is_empty and where == top:
                self.notes.add("W003", where, "the content directory is empty and could be left out")
            elif listing.is_empty:
                self.notes.add("E024", where, "this directory is empty")
            files += [f"{where}/{name}" for name in listing.files]
            waiting += [f"{where}/{name}" for name in reversed(listing.directories)]
        self.stored[number] = self.stored.get(number, frozenset()) | frozenset(files)

    def compare(self, draft: InventoryDraft, path: str, upto: VersionNumber | None) -> None:
        """Note files that an inventory does not list, and files that it lists but are not there.

        Args:
            draft: the inventory.
            path: where it lies, relative to the object root.
            upto: the version that it describes; None for every version.
        """
        if not draft.is_manifest_readable:
            return
        listed = {each for paths in draft.manifest.values() for each in paths}
        for number in sorted(self.stored):
            if upto is None or number <= upto:
                for each in sorted(self.stored[number] - listed):
                    self.notes.add("E023", each, f"this file is not in the manifest of {path}")
        self._expect(draft.manifest, draft.algorithm, "E092", path)
        for algorithm, block in draft.fixity.items():
            self._expect(block, algorithm, "E093", path)

    def verify(self, readers: Readers | None) -> None:
        """Compare the content files that are there with all that is expected of them.

        Args:
            readers: read the files; None compares sizes and the inventories with each other, and reads nothing.

        Raises:
            OperationCancelledError: the stop token was set.
        """
        paths = sorted(self.expected)
        if readers is None:
            for path in paths:
                self._compare_unread(path)
            return
        for path, observed in readers.each(self._digests_or_error, paths):
            self._judge(path, observed)

    def _expect(self, block: dict[str, tuple[str, ...]], algorithm: str | None, code: str, inventory: str) -> None:
        for digest, paths in block.items():
            for path in paths:
                if not self._is_stored(path):
                    if (code, path) not in self.missing:
                        self.missing.add((code, path))
                        self.notes.add(code, path, f"{inventory} lists this file, but it is not there")
                elif algorithm is not None and algorithm in ALGORITHMS:
                    digests = self.expected.setdefault(path, {}).setdefault(algorithm, {})
                    digests.setdefault(digest, Expectation(code, inventory))

    def _is_stored(self, path: str) -> bool:
        if path in self.expected:
            return True
        number = VersionNumber.parse_or_none(path.partition("/")[0])
        if number is not None and path in self.stored.get(number, ()):
            return True
        try:
            return is_plain_file(self.notes.root, path)
        except OSError as error:
            self.notes.add_unreadable(path, error)
            return True

    def _digests_or_error(self, path: str) -> dict[str, str] | OSError:
        self.notes.stop.check()
        hasher = MultiHasher(self.expected[path])
        try:
            with os.fdopen(open_plain(self.notes.root / path), "rb", buffering=0) as file:
                copy_and_hash(file, None, hasher, stop=self.notes.stop, buffer=chunk_buffer())
        except OSError as error:
            return error
        return hasher.digests()

    def _judge(self, path: str, observed: dict[str, str] | OSError) -> None:
        if isinstance(observed, OSError):
            self.notes.add_unreadable(path, observed)
            return
        for algorithm, digests in self.expected[path].items():
            for digest, expectation in digests.items():
                if digest != observed[algorithm]:
                    self.notes.add(
                        expectation.code,
                        path,
                        f"the file's {algorithm} is {observed[algorithm]}, but {expectation.inventory_path} "
                        f"states {digest:.140}",
                    )

    def _compare_unread(self, path: str) -> None:
        sizes = self.expected[path].get(SIZE)
        if sizes:
            try:
                size = str(os.lstat(self.notes.root / path).st_size)
            except OSError as error:
                self.notes.add_unreadable(path, error)
            else:
                for stated, expectation in sizes.items():
                    if stated != size:
                        message = f"the file has {size} bytes, but {expectation.inventory_path} states {stated}"
                        self.notes.add(expectation.code, path, message)
        for algorithm, digests in self.expected[path].items():
            if algorithm != SIZE and len(digests) > 1:
                for expectation in digests.values():
                    message = f"{expectation.inventory_path} states another {algorithm} than other inventories"
                    self.notes.add(expectation.code, path, message)
