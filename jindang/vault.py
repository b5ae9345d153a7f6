"""The opened repository: the one place where configuration, catalogue, tiers and backup base are put together."""

import contextlib
import getpass
import socket
from collections.abc import Iterator
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jindang import __version__
from jindang.config import Disk, ObjectStore, Settings, Tier
from jindang.secrets import read_secret
from jindang.tiers import create_tier, open_bare_tier, open_object_store_tier, open_tier, require_institution
from replication.placement import BASE
from repository.catalog.catalog import Catalog
from repository.clock import Clock, SystemClock
from repository.durable import tier_errors
from repository.errors import BaseTamperedError, ConfigError, InvalidInputError, NotFoundError, RepositoryError
from repository.ingest.request import IngestRules
from repository.model import ObjectId, ObjectRecord
from repository.packages.package import Limits
from repository.stop import StopToken
from storage_tiers.disk.tier import DiskTier, open_disk_tier
from storage_tiers.port import StorageTier

if TYPE_CHECKING:
    from replication.base.backup_base import BackupBase
    from replication.reconcile import Replication
    from replication.tier_pool import TierPool
    from storage_tiers.object_store.tier import ObjectStoreTier

SOFTWARE = f"Jindang {__version__}"


class Vault:
    """A repository: its catalogue, opened at once, and its tiers, opened when they are asked for.

    Args:
        settings: the configuration.
        clock: what tells the time.
        stop: ends whatever waits for a tier.
    """

    def __init__(self, settings: Settings, *, clock: Clock | None = None, stop: StopToken | None = None) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.stop = stop or StopToken()
        self.placement = settings.placement
        self.catalog = open_catalog(settings)

    def __enter__(self) -> Self:
        """Check that the catalogue is there and of this release."""
        self.catalog.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the catalogue."""
        self.catalog.close()

    @property
    def prefix(self) -> str:
        """What every object's URI begins with."""
        return self.settings.institution.prefix

    @property
    def agent(self) -> str:
        """Who is named in events."""
        return getpass.getuser()

    # tiers

    def tier(self, tier: Tier) -> StorageTier:
        """A tier, if it is there and the one that the catalogue knows, used as its settings say. Raises TierError."""
        return open_tier(tier, uuid=self.catalog.tier_uuids().get(tier.name), clock=self.clock, stop=self.stop)

    def bare_tier(self, tier: Tier) -> StorageTier:
        """A tier itself, without retries and limits. Raises TierError."""
        return open_bare_tier(tier, uuid=self.catalog.tier_uuids().get(tier.name), clock=self.clock)

    def object_store(self, tier: ObjectStore) -> "ObjectStoreTier":
        """An object store itself, with its locks and features. Raises TierError."""
        return open_object_store_tier(tier, uuid=self.catalog.tier_uuids().get(tier.name), clock=self.clock)

    def disk(self, tier: Disk) -> DiskTier:
        """A disk itself, with its storage root. Raises TierError."""
        return open_disk_tier(tier.path, name=tier.name, uuid=self.catalog.tier_uuids().get(tier.name))

    @property
    def primary(self) -> DiskTier:
        """The tier onto which packages are taken in. Raises TierError."""
        return self.disk(self.settings.primary)

    def tier_pool(self) -> "TierPool":
        """All tiers, each opened when it is needed; a context manager."""
        from replication.tier_pool import TierPool

        return TierPool({tier.name: partial(self.tier, tier) for tier in self.settings.tiers})

    def replication(self, tiers: "TierPool", *, parallel: int | None = None) -> "Replication":
        """The reconciler of this repository."""
        from replication.reconcile import Replication

        return Replication(
            self.catalog,
            tiers,
            wanted=self.placement.wanted,
            agent=self.agent,
            clock=self.clock,
            stop=self.stop,
            parallel=parallel or self.settings.replication.parallel,
        )

    @property
    def unmade(self) -> list[str]:
        """Places that the configuration names and the catalogue does not know; `jindang init` makes them."""
        known = self.catalog.tier_uuids()
        names = [tier.name for tier in self.settings.tiers] + ([BASE] if self.settings.base else [])
        return [name for name in names if name not in known]

    def place_all(self) -> int:
        """Bring what tiers are owed in line with the policies, if these have changed; returns objects looked at."""
        return self.catalog.transfers.place_all(self.placement.fingerprint, self.placement.wanted)

    # objects

    def find(self, identifier: str) -> ObjectRecord:
        """An object by its URI or its readable identifier. Raises NotFoundError."""
        object_id = ObjectId.parse(identifier, prefix=self.prefix)
        # an object that was taken in under another prefix is known by its whole URI
        record = self.catalog.find_object(object_id) or self.catalog.find_object(ObjectId(identifier))
        if record is None:
            raise NotFoundError(
                "There is no such object", where=identifier, next_step="`jindang list` shows what there is"
            )
        return record

    def readable(self, object_id: ObjectId) -> str:
        """An identifier as people write it."""
        return object_id.local(self.prefix)

    def ingest_rules(self) -> IngestRules:
        """What holds for every package."""
        ingest = self.settings.ingest
        return IngestRules(
            identifier_prefix=self.prefix,
            digest_algorithm=ingest.digest,
            allow_state_secrets=ingest.allow_state_secrets,
            reserve_bytes=int(ingest.reserve_bytes),
            limits=Limits(
                max_files=ingest.limits.max_files,
                max_bytes=int(ingest.limits.max_bytes),
                max_archive_ratio=ingest.limits.max_archive_ratio,
                max_depth=ingest.limits.max_depth,
            ),
            agent=self.agent,
            software=SOFTWARE,
        )


def open_catalog(settings: Settings) -> Catalog:
    """The catalogue of a configuration; not checked yet."""
    secret = settings.database.password
    return Catalog(
        settings.database_url,
        password=None if secret is None else read_secret(secret),
        wanted=settings.placement.wanted,
    )


def open_known_base(settings: Settings, catalog: Catalog, *, stop: StopToken) -> "BackupBase":
    """The backup base, if it is the one that the catalogue knows.

    Raises:
        BaseTamperedError: it is another one.
        InvalidInputError: the catalogue knows of none yet.
        ConfigError, BackupError: there is none, or it cannot be reached.
    """
    base = open_base(settings)
    known = catalog.tier_uuids().get(BASE)
    if known is None:
        raise InvalidInputError(
            "The backup base is not made yet", where=base.options.repository, next_step="run `jindang init` again"
        )
    _require_base(base, known, stop=stop)
    return base


def open_base(settings: Settings) -> "BackupBase":
    """The backup base of a configuration; not looked at yet.

    Raises:
        ConfigError: there is none, or its passphrase cannot be read.
    """
    from replication.base.backup_base import BackupBase
    from replication.base.options import BaseOptions

    base = settings.base
    if base is None:
        raise ConfigError(
            "There is no backup base",
            problems=("name one in the section `base` of the configuration, then run `jindang init` again",),
        )
    options = BaseOptions(
        repository=base.repository,
        passphrase=read_secret(base.passphrase),
        state_folder=settings.data / "borg",
        host_id=f"{socket.gethostname()}@{settings.institution.code}",
        ssh_key=base.ssh_key,
        maintenance_ssh_key=base.maintenance_ssh_key,
        known_hosts=base.known_hosts,
        remote_path=base.remote_path,
        bandwidth_bps=None if base.bandwidth is None else int(base.bandwidth),
        lock_wait_s=base.lock_wait_s,
    )
    return BackupBase(options)


def create_vault(settings: Settings, *, clock: Clock) -> None:
    """Make what is missing: data folder, catalogue, tiers, backup base. Nothing that is there is changed.

    A tier that the catalogue knows is never made again: where it is missing, a disk is not mounted.

    Raises:
        TierError, CatalogError, BackupError: something cannot be made, or something else is in its place.
    """
    with _created_catalog(settings) as catalog:
        known = catalog.tier_uuids()
        for tier in settings.tiers:
            if tier.name in known:
                open_bare_tier(tier, uuid=known[tier.name], clock=clock).close()
            else:
                made = create_tier(tier, institution=settings.institution.code, clock=clock)
                catalog.register_tier(tier.name, uuid=made.identity.uuid, kind=tier.kind)
                made.close()
        if settings.base is not None and BASE not in known:
            catalog.register_tier(BASE, uuid=_created_base(open_base(settings), stop=StopToken()), kind="borg")


def create_catalog(settings: Settings, *, needed: str, clock: Clock) -> list[RepositoryError]:
    """Make the data folder and the catalogue where they are missing, and make the tiers that are there known to it.

    No tier is made: a catalogue that was lost is to be read from a tier that has the records.

    Args:
        settings: the configuration.
        needed: name of the tier that must be there, or of the base.
        clock: what tells the time.

    Returns: why each other tier could not be made known.

    Raises:
        TierError, BackupError, CatalogError: the needed tier is not there, or the catalogue cannot be made.
        ConfigError: there is no such tier.
    """
    places = [tier.name for tier in settings.tiers] + ([BASE] if settings.base else [])
    if needed not in places:
        settings.tier(needed)
    _identity(settings, needed, clock=clock)
    missing = []
    with _created_catalog(settings) as catalog:
        known = catalog.tier_uuids()
        for name in places:
            try:
                identity = _identity(settings, name, clock=clock, uuid=known.get(name))
            except RepositoryError as error:
                if name == needed:
                    raise
                missing.append(error)
            else:
                kind = "borg" if name == BASE else settings.tier(name).kind
                catalog.register_tier(name, uuid=identity, kind=kind)
    return missing


def _identity(settings: Settings, name: str, *, clock: Clock, uuid: str | None = None) -> str:
    """Who a tier or the base is, if it is there, and the one that is wanted. Raises TierError, BackupError."""
    if name != BASE:
        opened = open_bare_tier(settings.tier(name), uuid=uuid, clock=clock)
        require_institution(opened, settings.tier(name), settings.institution.code)
        opened.close()
        return opened.identity.uuid
    return _require_base(open_base(settings), uuid, stop=StopToken())


def _require_base(base: "BackupBase", known: str | None, *, stop: StopToken) -> str:
    """The base's identity. Raises BaseTamperedError when it is not the one that we know."""
    identity = base.identity(stop=stop)
    if known not in (None, identity):
        raise BaseTamperedError(
            "This is not our backup base",
            where=base.options.repository,
            why=f"it is {identity[:16]}, ours is {str(known)[:16]}",
            next_step="correct the address in the configuration; an older copy of the base is for reading only",
        )
    return identity


def _created_base(base: "BackupBase", *, stop: StopToken) -> str:
    """The identity of the base; it is made where there is none, also by an `init` that was interrupted before."""
    try:
        return base.identity(stop=stop)
    except ConfigError:
        return base.create(stop=stop)


@contextlib.contextmanager
def _created_catalog(settings: Settings) -> Iterator[Catalog]:
    with tier_errors(settings.data):
        settings.data.mkdir(parents=True, exist_ok=True)
    catalog = open_catalog(settings)
    try:
        catalog.create()
        yield catalog
    finally:
        catalog.close()
