"""A small repository with several tiers: a real primary disk and catalogue, other tiers as a test wants them."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from replication.reconcile import Replication
from replication.tier_pool import TierPool
from replication.transfer import TransferOutcome
from repository.catalog.catalog import Catalog
from repository.ingest.request import IngestRequest
from repository.ingest.run import IngestRun
from repository.model import CopyRecord, Metadata, ObjectId, Transfer
from repository.stop import StopToken
from storage_tiers.disk.tier import DiskTier, create_disk_tier, open_disk_tier
from storage_tiers.identity import TierIdentity
from storage_tiers.memory import MemoryTier
from storage_tiers.port import StorageTier, VersionRef
from tests.doubles.vault import RULES, SteppingClock, uri_of, write_package

PRIMARY = "primary"


def everywhere(*names: str) -> Callable[[Metadata], Sequence[str]]:
    return lambda _metadata: (PRIMARY, *names)


@dataclass
class Archive:
    """An ingest and as many replications as a test likes.

    Args:
        folder: for everything.
        others: name -> the tier, or a callable that opens it and may raise.
        wanted: where objects belong; by default everywhere.
    """

    folder: Path
    others: Mapping[str, StorageTier | Callable[[], StorageTier]]
    wanted: Callable[[Metadata], Sequence[str]] | None = None
    stop: StopToken = field(default_factory=StopToken)
    wrap_primary: Callable[[DiskTier], StorageTier] = lambda tier: tier

    def __post_init__(self) -> None:
        self.primary = create_disk_tier(self.folder / PRIMARY, name=PRIMARY, institution="1")
        self.wanted = self.wanted or everywhere(*self.others)
        self.url = f"sqlite:///{self.folder / 'catalogue.sqlite'}"
        catalog = Catalog(self.url)
        catalog.create()
        catalog.register_tier(PRIMARY, uuid=self.primary.identity.uuid, kind="disk")
        for name in self.others:
            catalog.register_tier(name, uuid=f"uuid of {name}", kind="test")
        catalog.close()

    @contextlib.contextmanager
    def catalog(self) -> Iterator[Catalog]:
        assert self.wanted is not None
        with Catalog(self.url, wanted=self.wanted) as catalog:
            yield catalog

    def ingest(self, name: str, files: Mapping[str, bytes], *, clock: SteppingClock | None = None) -> None:
        """Take in one package; the same name again makes a new version, later where the clock is the same."""
        package = write_package(self.folder / "deposit" / name, files)
        with self.catalog() as catalog:
            run = IngestRun(
                catalog,
                self.primary.root,
                tier=PRIMARY,
                rules=RULES,
                workers=1,
                clock=clock or SteppingClock(),
                stop=StopToken(),
            )
            (outcome,) = run.ingest([IngestRequest(source=package)])
        assert outcome.is_acknowledged, outcome

    def openers(self) -> dict[str, Callable[[], StorageTier]]:
        def opener(other: StorageTier | Callable[[], StorageTier]) -> Callable[[], StorageTier]:
            return other if callable(other) else lambda: other

        primary = lambda: self.wrap_primary(open_disk_tier(self.folder / PRIMARY, name=PRIMARY))  # noqa: E731
        return {PRIMARY: primary, **{name: opener(other) for name, other in self.others.items()}}

    def replicate(
        self,
        *targets: str,
        object_name: str | None = None,
        limit_bytes: int | None = None,
        parallel: int = 1,
    ) -> list[TransferOutcome]:
        """One run; what was down in it is in `self.down`."""
        assert self.wanted is not None
        with self.catalog() as catalog, TierPool(self.openers()) as tiers:
            replication = Replication(
                catalog,
                tiers,
                wanted=self.wanted,
                agent="tester",
                clock=SteppingClock(),
                stop=self.stop,
                parallel=parallel,
            )
            outcomes = list(
                replication.run(
                    targets or list(self.others),
                    object_id=ObjectId(uri_of(object_name)) if object_name else None,
                    limit_bytes=limit_bytes,
                )
            )
            self.down = replication.down
        return outcomes

    # looking

    def ref(self, name: str, number: int = 1) -> VersionRef:
        return VersionRef(self.primary.root.object_path(uri_of(name)), number)

    def copies(self, name: str) -> dict[tuple[str, int], CopyRecord]:
        with self.catalog() as catalog:
            return {(copy.tier, copy.version): copy for copy in catalog.list_copies(ObjectId(uri_of(name)))}

    def owed(self, name: str) -> list[Transfer]:
        with self.catalog() as catalog:
            return catalog.transfers.of_object(ObjectId(uri_of(name)))

    def stored_file(self, name: str, path: str, number: int = 1) -> Path:
        """A payload file on the primary tier."""
        return self.primary.root.object_root(self.ref(name).object_path) / f"v{number}/content/data/{path}"


def memory_tier(name: str) -> MemoryTier:
    return MemoryTier(identity=TierIdentity(uuid=f"uuid of {name}", name=name, institution="1"))


def flip_a_byte(path: Path) -> None:
    """Damage a stored file: same size, other bytes."""
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x40
    path.write_bytes(data)
    path.chmod(0o444)
