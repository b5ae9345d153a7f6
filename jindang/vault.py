"""The opened repository: the one place where configuration, catalogue and tiers are put together."""

import contextlib
import getpass
import subprocess
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from jindang import __version__
from jindang.config import Secret, Settings, Tier
from repository.catalog.catalog import Catalog
from repository.durable import tier_errors
from repository.errors import ConfigError, NotFoundError, TierError
from repository.ingest.request import IngestRules
from repository.model import ObjectId, ObjectRecord
from repository.packages.package import Limits
from storage_tiers.disk import DiskTier, create_disk_tier, open_disk_tier

SOFTWARE = f"Jindang {__version__}"


class Vault:
    """A repository: its catalogue, opened at once, and its tiers, opened when they are asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
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

    def tier(self, tier: Tier) -> DiskTier:
        """A tier, if it is there and the one that the catalogue knows. Raises TierError."""
        return open_disk_tier(tier.path, name=tier.name, uuid=self.catalog.tier_uuids().get(tier.name))

    @property
    def primary(self) -> DiskTier:
        """The tier onto which packages are taken in. Raises TierError."""
        return self.tier(self.settings.primary)

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
            agent=getpass.getuser(),
            software=SOFTWARE,
        )


def open_catalog(settings: Settings) -> Catalog:
    """The catalogue of a configuration; not checked yet."""
    secret = settings.database.password
    return Catalog(settings.database_url, password=None if secret is None else read_secret(secret))


def create_vault(settings: Settings) -> None:
    """Make what is missing: data folder, catalogue, tiers. Nothing that is there is changed.

    A tier that the catalogue knows is never made again: where it is missing, a disk is not mounted.

    Raises:
        TierError, CatalogError: something cannot be made, or something else is in its place.
    """
    with _created_catalog(settings) as catalog:
        known = catalog.tier_uuids()
        for tier in settings.tiers:
            if tier.name in known:
                open_disk_tier(tier.path, name=tier.name, uuid=known[tier.name])
            else:
                made = create_disk_tier(tier.path, name=tier.name, institution=settings.institution.code)
                catalog.register_tier(tier.name, uuid=made.identity.uuid, kind=tier.kind)


def create_catalog(settings: Settings, *, needed: Tier) -> list[TierError]:
    """Make the data folder and the catalogue where they are missing, and make the tiers that are there known to it.

    No tier is made: a catalogue that was lost is to be read from a tier that has the records.

    Args:
        settings: the configuration.
        needed: the tier that must be there.

    Returns: why each other tier could not be made known.

    Raises:
        TierError, CatalogError: the needed tier is not there, or the catalogue cannot be made.
    """
    open_disk_tier(needed.path, name=needed.name)
    missing = []
    with _created_catalog(settings) as catalog:
        known = catalog.tier_uuids()
        for tier in settings.tiers:
            try:
                found = open_disk_tier(tier.path, name=tier.name, uuid=known.get(tier.name))
            except TierError as error:
                if tier == needed:
                    raise
                missing.append(error)
            else:
                catalog.register_tier(tier.name, uuid=found.identity.uuid, kind=tier.kind)
    return missing


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


def read_secret(secret: Secret) -> str:
    """Fetch a secret from where the configuration says it is.

    Raises:
        ConfigError: it is not there.
    """
    import os

    if secret.env is not None:
        value = os.environ.get(secret.env)
        if value is None:
            raise ConfigError(f"The environment variable {secret.env} is not set; it should hold a secret")
        return value
    try:
        if secret.file is not None:
            return secret.file.read_text(encoding="utf-8").splitlines()[0]
        done = subprocess.run(list(secret.command or ()), check=True, capture_output=True, text=True, timeout=60)
        return done.stdout.splitlines()[0]
    except (OSError, IndexError, UnicodeDecodeError, subprocess.SubprocessError) as error:
        what = secret.file or " ".join(secret.command or ())
        raise ConfigError("A secret cannot be read", where=what, problems=(str(error),)) from error
