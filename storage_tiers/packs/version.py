"""A version that lies in a pack, opened for reading: every byte is held against the version's inventory."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import BinaryIO, Self, cast

from repository.errors import IntegrityError, NotFoundError, RepositoryError, SourceReadError
from repository.hashing import CHUNK_BYTES
from repository.model import VersionSummary
from repository.ocfl.inventory import Inventory
from repository.stop import StopToken
from storage_tiers.packs.layout import pack_error
from storage_tiers.packs.reading import PackReader
from storage_tiers.packs.writing import own_files
from storage_tiers.reading import CheckedStream


class PackedVersion:
    """The `OpenedVersion` of a pack. The directory of the pack is read when something of it is wanted.

    Args:
        summary: of the version.
        inventory: the version's own, that lies beside the pack.
        inventory_bytes: the same as stored; its digest was compared with the summary's.
        reader: of the pack.
        close: called at the end of the `with`.
    """

    def __init__(
        self,
        summary: VersionSummary,
        inventory: Inventory,
        inventory_bytes: bytes,
        reader: PackReader,
        *,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self.summary, self.inventory, self.inventory_bytes = summary, inventory, inventory_bytes
        self._reader, self._close = reader, close

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Content path -> bytes, as the directory of the pack says. Raises SourceReadError."""
        wanted = self.inventory.added_content()
        return {path: size for path, size in self._stored_sizes().items() if path in wanted}

    def contents(self, *, stop: StopToken) -> Iterator[tuple[str, BinaryIO]]:
        """As the port says, in one request.

        A file that the pack lacks comes as a stream that says so. What else is wrong with the pack is raised at the
        end, when all files have come: an inventory, sidecar or declaration that is another one, a file too many.
        """
        stored, wanted = self._stored_sizes(), self.inventory.added_content()
        own = own_files(self.inventory, self.inventory_bytes)
        problems: list[RepositoryError] = []
        entries = self._reader.entries_in_order()
        for path in sorted({*stored, *wanted, *own}):
            stop.check()
            stream = next(entries)[1] if path in stored else None
            if path in wanted:
                yield path, self._checked(path, stream, digest=wanted[path], size_bytes=stored.get(path, 0))
            elif path not in own:
                problems.append(self._problem(path, "the inventory does not list the file"))
            elif stream is None:
                problems.append(self._problem(path, "the pack lacks the file"))
            else:
                problems.extend(self._compare(path, stream, own[path]))
        for _ in entries:
            pass
        if problems:
            raise SourceReadError(problems[0])

    def open(self, content_path: str, *, offset: int = 0, length: int | None = None) -> BinaryIO:
        """As the port says, in one request once the directory is known."""
        try:
            return self._reader.open(content_path, offset=offset, length=length)
        except RepositoryError as error:
            raise SourceReadError(error) from error

    def __enter__(self) -> Self:
        """Opened already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give back what the tier lent."""
        self._close()

    def _stored_sizes(self) -> dict[str, int]:
        try:
            return {entry.path: entry.size_bytes for entry in self._reader.directory()}
        except RepositoryError as error:
            raise SourceReadError(error) from error

    def _checked(self, path: str, stream: BinaryIO | None, *, digest: str, size_bytes: int) -> BinaryIO:
        where = f"{self._reader.where}: {path}"

        def opened() -> BinaryIO:
            if stream is None:
                raise NotFoundError("A stored file is missing", where=where, next_step="restore it from another copy")
            return stream

        checked = CheckedStream(
            opened, algorithm=self.inventory.digest_algorithm, digest=digest, size_bytes=size_bytes, where=where
        )
        return cast("BinaryIO", checked)

    def _compare(self, path: str, stream: BinaryIO, wanted: bytes) -> list[RepositoryError]:
        """What is wrong with a file that must have these bytes."""
        view, position = memoryview(bytearray(min(CHUNK_BYTES, len(wanted) + 1))), 0
        try:
            while size := stream.readinto(view):  # type: ignore[attr-defined]
                if view[:size] != wanted[position : position + size]:
                    return [self._problem(path, "it is not what the version's inventory and its digest say")]
                position += size
        except SourceReadError as error:
            return [error.cause]
        return [] if position == len(wanted) else [self._problem(path, "it is shorter than it must be")]

    def _problem(self, path: str, why: str) -> IntegrityError:
        return pack_error(why, f"{self._reader.where}: {path}")
