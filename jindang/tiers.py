"""From a tier's settings to the opened tier, with the wrappers that its settings ask for."""

from typing import TYPE_CHECKING

from jindang.config_tiers import Disk, ObjectStore, Tier
from jindang.secrets import read_secret, read_whole_secret
from replication.placement import Zone
from repository.clock import Clock
from repository.errors import TierIdentityError
from repository.stop import StopToken
from storage_tiers.port import StorageTier

if TYPE_CHECKING:
    from storage_tiers.object_store.tier import ObjectStoreOptions, ObjectStoreTier


def open_tier(settings: Tier, *, uuid: str | None, clock: Clock, stop: StopToken) -> StorageTier:
    """A tier, if it is there and the one that the catalogue knows, as its settings want it used.

    Args:
        settings: of the tier.
        uuid: that the catalogue knows it by; None where there is no catalogue to ask.
        clock: what tells the time.
        stop: ends waiting between attempts.

    Raises:
        TierError: it is not there, or another one is.
        ConfigError: a secret cannot be read.
    """
    from storage_tiers.wrappers.retry import RetryingTier

    tier: StorageTier = RetryingTier(open_bare_tier(settings, uuid=uuid, clock=clock), stop=stop)
    if settings.zone is Zone.PUBLIC:
        from storage_tiers.wrappers.zone_guard import ZoneGuardedTier

        tier = ZoneGuardedTier(tier)
    if settings.read_only:
        from storage_tiers.wrappers.read_only import ReadOnlyTier

        tier = ReadOnlyTier(tier)
    if settings.bandwidth is not None:
        from storage_tiers.wrappers.throttle import ThrottledTier

        tier = ThrottledTier(tier, rate_bps=int(settings.bandwidth), clock=clock, stop=stop)
    return tier


def open_bare_tier(settings: Tier, *, uuid: str | None, clock: Clock) -> StorageTier:
    """The tier itself, without retries, limits and guards."""
    if isinstance(settings, Disk):
        from storage_tiers.disk.tier import open_disk_tier

        return open_disk_tier(settings.path, name=settings.name, uuid=uuid)
    return open_object_store_tier(settings, uuid=uuid, clock=clock)


def open_object_store_tier(settings: ObjectStore, *, uuid: str | None, clock: Clock) -> "ObjectStoreTier":
    """An object store itself, with what only such a tier can do."""
    from storage_tiers.object_store.tier import open_object_store

    return open_object_store(object_store_options(settings), name=settings.name, uuid=uuid, clock=clock)


def create_tier(settings: Tier, *, institution: str, clock: Clock) -> StorageTier:
    """Make an empty folder or bucket a tier; one that is there already is opened, if it is this institution's.

    Raises:
        TierError: something else or somebody else's is there, or it cannot be written.
        ConfigError: a secret cannot be read.
    """
    if isinstance(settings, Disk):
        from storage_tiers.disk.tier import create_disk_tier

        tier: StorageTier = create_disk_tier(settings.path, name=settings.name, institution=institution)
    else:
        from storage_tiers.object_store.tier import create_object_store

        options = object_store_options(settings)
        tier = create_object_store(options, name=settings.name, institution=institution, clock=clock)
    require_institution(tier, settings, institution)
    return tier


def require_institution(tier: StorageTier, settings: Tier, institution: str) -> None:
    """Close and refuse a tier that holds somebody else's records. Raises TierIdentityError."""
    if tier.identity.institution == institution:
        return
    tier.close()
    raise TierIdentityError(
        f"The tier {settings.name!r} is that of another institution",
        where=settings.where,
        why=f"it was made for {tier.identity.institution!r}, the configuration is that of {institution!r}",
        next_step="correct the place in the configuration; two institutions never share a tier, nothing was written",
    )


def object_store_options(settings: ObjectStore) -> "ObjectStoreOptions":
    """What the driver of object stores needs to know. Raises ConfigError."""
    from storage_tiers.object_store.rules import LockMode, LockRule
    from storage_tiers.object_store.tier import ObjectStoreOptions
    from storage_tiers.packs.encryption import Identities, Recipients

    lock, where = settings.lock, f"tier {settings.name}"
    identity = settings.identity
    return ObjectStoreOptions(
        endpoint=settings.endpoint,
        bucket=settings.bucket,
        prefix=settings.prefix,
        region=settings.region,
        access_key=read_secret(settings.access_key),
        secret_key=read_secret(settings.secret_key),
        ca_file=None if settings.ca_file is None else str(settings.ca_file),
        path_style=settings.path_style,
        lock=None if lock is None else LockRule(mode=LockMode(lock.mode), days=lock.days),
        recipients=Recipients.parse(settings.recipients, where=where) if settings.recipients else None,
        identities=None if identity is None else Identities.parse(read_whole_secret(identity), where=where),
        parallel=settings.parallel,
    )
