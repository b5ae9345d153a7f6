"""Where the contract of the port is tried: versions made for the purpose, and what a check may ask of a tier."""

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import BinaryIO, NoReturn, TypeVar

from repository.aip import METADATA_PATH, metadata_bytes, version_record
from repository.errors import NotFoundError, RepositoryError, SourceReadError, UnreadableError
from repository.model import Metadata, ObjectId, OpeningStatus, SecurityClass, VersionSummary
from repository.ocfl.inventory import Inventory, VersionBlock, VersionNumber
from repository.stop import StopToken
from storage_tiers.contract.trial import TRIAL_FOLDER, trial_identifier, trial_path
from storage_tiers.fixity_outcome import Depth, FixityState
from storage_tiers.memory import MemoryVersion
from storage_tiers.port import OpenedVersion, PutStatus, StorageTier, VersionRef
from storage_tiers.wrappers.forwarding import ForwardingVersion

_ErrorType = TypeVar("_ErrorType", bound=RepositoryError)

_ALGORITHM = "sha512"
_FIRST_DAY = datetime(2026, 1, 1, 8, tzinfo=UTC)
_PUBLIC = Metadata(
    title="Trial of a storage tier; may be removed",
    security_class=SecurityClass.PUBLIC,
    opening_status=OpeningStatus.OPEN,
)
"""A trial must also be possible on a tier where only public records may lie."""


class ContractBrokenError(Exception):
    """A promise of the port was not kept; the text says which and how."""


def broken(why: str) -> NoReturn:
    """Raise ContractBrokenError."""
    raise ContractBrokenError(why)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRoom:
    """What one check works with.

    Args:
        tier: that is tried.
        run: an uuid of this room alone: two rooms never meet.
        stop: for every call that takes one.
    """

    tier: StorageTier
    run: str
    stop: StopToken = field(default_factory=StopToken)
    _made: set[VersionRef] = field(default_factory=set)
    _sizes: dict[str, int] = field(default_factory=dict)
    """Digest -> bytes, of all that was made here."""

    def version(
        self, files: Mapping[str, bytes], *, name: str = "trial", previous: MemoryVersion | None = None
    ) -> MemoryVersion:
        """A version of a trial object; it is removed from the tier at the end, whoever put it there.

        Args:
            files: logical path -> bytes, all that the version holds; `metadata/object.json` comes by itself. What an
                earlier version has is not stored again.
            name: of the object: small letters, digits and hyphens.
            previous: the version before.
        """
        head = previous.inventory.head.next() if previous else VersionNumber(1)
        manifest = dict(previous.inventory.manifest) if previous else {}
        state: dict[str, tuple[str, ...]] = {}
        added: dict[str, bytes] = {}
        for path, data in {METADATA_PATH: metadata_bytes(_PUBLIC), **files}.items():
            digest = hashlib.new(_ALGORITHM, data).hexdigest()
            self._sizes[digest] = len(data)
            state[digest] = (*state.get(digest, ()), path)
            if digest not in manifest:
                manifest[digest] = (f"{head}/content/{path}",)
                added[f"{head}/content/{path}"] = data
        block = VersionBlock(
            created=(_FIRST_DAY + timedelta(days=head.number)).isoformat(), state=state, message="trial"
        )
        inventory = Inventory(
            id=trial_identifier(self.run, name),
            head=head,
            versions={**(previous.inventory.versions if previous else {}), head: block},
            manifest=manifest,
            digest_algorithm=_ALGORITHM,
        )
        made = self._opened(inventory, trial_path(self.run, name), added)
        self._made.add(made.ref)
        return made

    def history(self, length: int, *, name: str) -> list[MemoryVersion]:
        """So many small versions of one object, oldest first."""
        made: list[MemoryVersion] = []
        for number in range(1, length + 1):
            files = {"data/a.txt": f"{name} v{number}".encode()}
            made.append(self.version(files, name=name, previous=made[-1] if made else None))
        return made

    def _opened(self, inventory: Inventory, object_path: str, added: Mapping[str, bytes]) -> MemoryVersion:
        data = inventory.to_bytes()
        record = version_record(
            inventory,
            inventory.head,
            inventory_digest=hashlib.new(_ALGORITHM, data).hexdigest(),
            sizes={path: self._sizes[digest] for path, digest in inventory.digests_by_content_path().items()},
        )
        return MemoryVersion(
            summary=VersionSummary(
                id=ObjectId(inventory.id), object_path=object_path, metadata=_PUBLIC, record=record
            ),
            inventory=inventory,
            inventory_bytes=data,
            sizes={path: len(content) for path, content in added.items()},
            files=added,
        )

    def put(self, version: OpenedVersion) -> PutStatus:
        """Put it on the tier."""
        return self.tier.put_version(version, stop=self.stop).status

    def require_stored(self, version: MemoryVersion) -> None:
        """The tier must have exactly this version: every byte of it, and what is said of it."""
        if self.tier.stat_version(version.ref) != version.summary:
            broken("stat_version says something else of the version than its source did")
        with self.tier.open_version(version.ref) as opened:
            if opened.summary != version.summary or opened.inventory_bytes != version.inventory_bytes:
                broken("the opened version has another summary or inventory than was put")
            if dict(opened.sizes) != dict(version.sizes):
                broken("the opened version states other files or sizes than were put")
            found = {path: _all_of(stream) for path, stream in opened.contents(stop=self.stop)}
        if list(found) != sorted(version.files):
            broken("contents() does not give each file once, in the order of the content paths")
        for path, data in version.files.items():
            if found[path] != data:
                broken(f"{path} has other bytes than were put")
        self.require_state(version, FixityState.VERIFIED)

    def require_state(self, version: MemoryVersion, state: FixityState) -> None:
        """A full verification must come to this."""
        outcome = self.tier.verify_version(version.expected, depth=Depth.FULL, stop=self.stop)
        if outcome.state is not state:
            details = "; ".join(f"{each.path}: {each.state} {each.detail}" for each in outcome.findings[:3])
            broken(f"verify_version answers {outcome.state!s}, expected was {state!s} ({details or 'no findings'})")

    def require_absent(self, version: MemoryVersion) -> None:
        """Nobody may see anything of this version."""
        self.require_error(NotFoundError, lambda: self.tier.open_version(version.ref).sizes)
        self.require_error(NotFoundError, lambda: self.tier.stat_version(version.ref))
        if version.ref in self.listed():
            broken("list_versions shows a version that was not put")
        self.require_state(version, FixityState.MISSING)

    def require_error(self, kind: type[_ErrorType], call: Callable[[], object]) -> _ErrorType:
        """The call must raise this error."""
        try:
            answer = call()
        except kind as error:
            return error
        except Exception as error:  # noqa: BLE001 - any other is what is looked for
            broken(f"{type(error).__name__} came where {kind.__name__} should: {error}")
        broken(f"{kind.__name__} should have come; the answer was {answer!r:.200}")

    def listed(self, after: VersionRef | None = None) -> list[VersionRef]:
        """What the tier lists of this room's own objects."""
        folder = f"{TRIAL_FOLDER}{self.run}/"
        first = after or VersionRef(folder, 0)
        return list(takewhile(lambda ref: ref.object_path.startswith(folder), self.tier.list_versions(after=first)))

    def made(self) -> list[VersionRef]:
        """Every version that was made here, newest first: so they are removed."""
        return sorted(self._made, reverse=True)


def flipped(version: MemoryVersion, content_path: str) -> MemoryVersion:
    """The same version, with one bit of one file damaged."""
    data = bytearray(version.files[content_path])
    data[-1] ^= 1
    return replace(version, files={**version.files, content_path: bytes(data)})


class BreakingVersion(ForwardingVersion):
    """A source that cannot be read any more after so many bytes."""

    def __init__(self, inner: OpenedVersion, *, after_bytes: int) -> None:
        super().__init__(inner, self._count)
        self._left = after_bytes

    def _count(self, size_bytes: int) -> None:
        self._left -= size_bytes
        if self._left < 0:
            raise SourceReadError(UnreadableError("A trial: the source fails on purpose"))


class IncompleteVersion(ForwardingVersion):
    """A source that keeps its last file back."""

    def __init__(self, inner: OpenedVersion) -> None:
        super().__init__(inner, lambda _: None)

    def contents(self, *, stop: StopToken) -> Iterator[tuple[str, BinaryIO]]:
        """All but the last."""
        everything = list(self._inner.contents(stop=stop))
        yield from everything[:-1]


def _all_of(stream: BinaryIO) -> bytes:
    with stream:
        data = io.BytesIO()
        while part := stream.read(1 << 20):
            data.write(part)
        return data.getvalue()
