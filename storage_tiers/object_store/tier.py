"""A tier in an object store that speaks S3: one pack per version, readable with `unzip` and `sha512sum` alone.

    <prefix>jindang-tier.json             who this tier is
    <prefix>README.txt                    how to read it by hand
    <prefix>jindang-capabilities.json     what the server was last seen to do
    <prefix><object path>/v1.zip          the pack: the folder v1/ of the OCFL object
    <prefix><object path>/v1.inventory.json, v1.summary.json

With encryption the names of the last three end in `.age`. A version is there when its summary is; that is written
last. No operation works on a prefix: only on keys that were spelt out.
"""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from repository.aip import json_bytes
from repository.clock import Clock
from repository.errors import CopyConflictError, IntegrityError, NotFoundError, TierIdentityError, TierUnavailableError
from repository.model import VersionSummary
from repository.stop import StopToken
from storage_tiers.contract.trial import require_trial
from storage_tiers.fixity_outcome import Depth, FixityOutcome
from storage_tiers.identity import IDENTITY_FILE, TierIdentity
from storage_tiers.object_store.client import Bucket, Connection, md5_of
from storage_tiers.object_store.lock import LockedVersion, extend_locks
from storage_tiers.object_store.multipart import abort_stale_uploads
from storage_tiers.object_store.names import FEATURES_KEY, README_KEY, Names, in_order
from storage_tiers.object_store.probe import probe_capabilities
from storage_tiers.object_store.put import MemoryBudget, head_or_none, put_new, remove_every_version
from storage_tiers.object_store.quarantine import quarantine
from storage_tiers.object_store.reading import VersionReader
from storage_tiers.object_store.readme import readme
from storage_tiers.object_store.rules import LockMode, LockRule, StoreFeatures, WriteRules
from storage_tiers.object_store.sealing import Sealing
from storage_tiers.object_store.writing import VersionWriter
from storage_tiers.packs.encryption import Identities, Recipients
from storage_tiers.packs.version import PackedVersion
from storage_tiers.port import Capabilities, ExpectedVersion, OpenedVersion, Placed, Usage, VersionRef

__all__ = [
    "LockMode",
    "LockRule",
    "ObjectStoreOptions",
    "ObjectStoreTier",
    "create_object_store",
    "open_object_store",
]

MEMORY_BYTES = 128 << 20
"""Bodies of requests that may be in memory at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStoreOptions:
    """Where an object store tier is, and how it is written.

    Args:
        endpoint: URL of the server; None for Amazon's own.
        bucket: must be there already; for locks it must have been made with object lock.
        prefix: of all keys; slashes at its ends do not matter.
        region: as the server calls it; most servers of one's own take any.
        access_key: with `secret_key`; None for both to let boto3 look for them.
        ca_file: certificates of the authorities to trust instead of the system's.
        path_style: the bucket is named in the path, not in the host name.
        lock: protect what is written against deletion.
        recipients: encrypt to these.
        identities: decrypt with these; a machine without them can write and list, but not verify.
        parallel: how many requests are made at once.
    """

    endpoint: str | None
    bucket: str
    prefix: str = ""
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    path_style: bool = True
    lock: LockRule | None = None
    recipients: Recipients | None = None
    identities: Identities | None = None
    parallel: int = 8

    @property
    def connection(self) -> Connection:
        """How the bucket is reached; with connections for those who call, and for those who send parts."""
        return Connection(
            endpoint=self.endpoint,
            bucket=self.bucket,
            region=self.region,
            access_key=self.access_key,
            secret_key=self.secret_key,
            ca_file=self.ca_file,
            path_style=self.path_style,
            connections=2 * self.parallel,
        )

    @property
    def names(self) -> Names:
        """How objects are called in this tier."""
        prefix = self.prefix.strip("/")
        return Names(prefix=f"{prefix}/" if prefix else "", encrypted=self.recipients is not None)


def create_object_store(
    options: ObjectStoreOptions, *, name: str, institution: str, clock: Clock
) -> "ObjectStoreTier":
    """Make an empty place in a bucket a tier; one that is there already is opened, an interrupted call is finished.

    What the server can do is found out by trying, on keys that are removed again, and noted beside the identity.

    Raises:
        TierIdentityError: another tier is there.
        TierError: it cannot be written.
    """
    bucket, names = Bucket(options.connection), options.names
    try:
        if head_or_none(bucket, f"{names.prefix}{IDENTITY_FILE}") is None:
            features = probe_capabilities(options.connection, names.prefix)
            rules = WriteRules(clock=clock, lock=options.lock, features=features)
            identity = TierIdentity.new(name, institution=institution).to_bytes()
            text = readme(names, encrypted=names.encrypted).encode()
            for key, data in (
                (README_KEY, text),
                (FEATURES_KEY, json_bytes(asdict(features))),
                (IDENTITY_FILE, identity),
            ):
                if head_or_none(bucket, f"{names.prefix}{key}") is None:
                    put_new(bucket, f"{names.prefix}{key}", data, rules=rules, stop=StopToken())
    except CopyConflictError:
        pass  # somebody else made it at the same time: it is opened, and compared with what is wanted
    finally:
        bucket.close()
    return open_object_store(options, name=name, clock=clock)


def open_object_store(
    options: ObjectStoreOptions, *, name: str, clock: Clock, uuid: str | None = None
) -> "ObjectStoreTier":
    """A tier that is there.

    Args:
        options: where and how.
        name: that the configuration gives it.
        clock: for locks and the names of what is quarantined.
        uuid: that the catalogue knows it by; None where there is no catalogue to ask.

    Raises:
        TierUnavailableError: nothing is there, or nobody answers.
        TierIdentityError: something is there, but another tier.
        TierDeniedError: keys, clock or certificate are refused.
    """
    bucket, prefix = Bucket(options.connection), options.names.prefix
    try:
        identity = _read_identity(bucket, f"{prefix}{IDENTITY_FILE}", name=name, uuid=uuid)
        features = _read_features(bucket, f"{prefix}{FEATURES_KEY}")
    except BaseException:
        bucket.close()
        raise
    rules = WriteRules(clock=clock, lock=options.lock, features=features)
    return ObjectStoreTier(options, identity=identity, bucket=bucket, rules=rules)


class ObjectStoreTier:
    """An opened tier in an object store; a `StorageTier`."""

    def __init__(
        self, options: ObjectStoreOptions, *, identity: TierIdentity, bucket: Bucket, rules: WriteRules
    ) -> None:
        self._identity, self._names, self._rules = identity, options.names, rules
        self._connection, self.bucket = options.connection, bucket
        self._parallel = options.parallel
        self._workers = ThreadPoolExecutor(options.parallel, thread_name_prefix="object-store")
        sealing = Sealing(recipients=options.recipients, identities=options.identities)
        self._reader = VersionReader(bucket=bucket, names=self._names, sealing=sealing)
        self._writer = VersionWriter(
            bucket=bucket,
            names=self._names,
            rules=rules,
            sealing=sealing,
            workers=self._workers,
            budget=MemoryBudget(MEMORY_BYTES),
        )

    @property
    def identity(self) -> TierIdentity:
        """Who it is."""
        return self._identity

    @property
    def names(self) -> Names:
        """How objects are called in it."""
        return self._names

    @property
    def rules(self) -> WriteRules:
        """Lock and features of the server, as they were found when the tier was made."""
        return self._rules

    @property
    def capabilities(self) -> Capabilities:
        """As the port says."""
        features = self._rules.features
        return Capabilities(
            parallel_reads=self._parallel,
            parallel_writes=self._parallel,
            random_access=features.ranges and not self._names.encrypted,
            immutable=self._rules.lock is not None,
            server_checksum=features.signed_payload or features.content_md5,
            found=asdict(features),
        )

    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        """As the port says. An interrupted upload is resumed, unless the tier is encrypted: then it begins anew."""
        return self._writer.put(source, stop=stop)

    def open_version(self, ref: VersionRef, *, location: str | None = None) -> PackedVersion:
        """As the port says; two requests, and two more for the first file that is opened."""
        return self._reader.open(ref, location=location)

    def stat_version(self, ref: VersionRef) -> VersionSummary:
        """As the port says; one request."""
        return self._reader.stat(ref)

    def list_versions(self, *, after: VersionRef | None = None) -> Iterator[VersionRef]:
        """As the port says; one request for about 330 versions."""
        listed = self.bucket.list(self._names.prefix, start_after=self._names.start_after(after))
        refs = (self._names.ref(each.key) for each in listed)
        return in_order((ref for ref in refs if ref is not None), after)

    def verify_version(self, expected: ExpectedVersion, *, depth: Depth, stop: StopToken) -> FixityOutcome:
        """As the port says; with requests and bytes counted."""
        return self._reader.verify(expected, depth=depth, stop=stop)

    def quarantine_version(self, ref: VersionRef, *, note: Mapping[str, object]) -> str:
        """As the port says."""
        return quarantine(self.bucket, self._names, ref, rules=self._rules, note=note)

    def remove_trial(self, ref: VersionRef) -> None:
        """As `TrialTier` says: exactly the keys of one version of a trial object, with all that lay under them."""
        require_trial(ref)
        for key in reversed(self._names.of(ref).in_order):
            remove_every_version(self.bucket, key)

    def refresh_features(self) -> StoreFeatures:
        """Find out anew what the server can do, and note it; it holds for this tier when it is opened again.

        The note alone is ever written over; a bucket that keeps versions keeps the old ones.

        Raises:
            TierError: the store could not be reached, or may not be written.
        """
        features = probe_capabilities(self._connection, self._names.prefix)
        key, data = f"{self._names.prefix}{FEATURES_KEY}", json_bytes(asdict(features))
        if features != self._rules.features or head_or_none(self.bucket, key) is None:
            self.bucket.put(key, data, md5=md5_of(data), **self._rules.lock_parameters())
        return features

    def locks(self, *, extend_before: datetime | None, stop: StopToken) -> Iterator[LockedVersion]:
        """The lock of every version, extended where it ends before a moment; None only looks. See `extend_locks`."""
        return extend_locks(self.bucket, self._names, rules=self._rules, ends_before=extend_before, stop=stop)

    def usage(self) -> Usage:
        """S3 has no request for it."""
        return Usage(total_bytes=None, free_bytes=None)

    def abort_stale_uploads(self, *, older_than: timedelta) -> int:
        """Remove the parts of uploads that nobody finished in so long a time. Returns how many uploads."""
        before: datetime = self._rules.clock.now() - older_than
        return abort_stale_uploads(self.bucket, self._names.prefix, older_than=before)

    def close(self) -> None:
        """Give back threads and connections."""
        self._workers.shutdown(cancel_futures=True)
        self.bucket.close()


def _read_identity(bucket: Bucket, key: str, *, name: str, uuid: str | None) -> TierIdentity:
    where = f"{bucket.where}/{key}"
    try:
        data = bucket.read(key).data
    except NotFoundError as error:
        raise TierUnavailableError(
            f"The tier {name!r} is not there",
            where=where,
            why="the bucket has no jindang-tier.json under this prefix",
            next_step="check bucket and prefix in the configuration; `jindang init` makes a new tier there",
        ) from error
    identity = TierIdentity.parse(data, where=where)
    if identity.name != name or (uuid is not None and identity.uuid != uuid):
        raise TierIdentityError(
            f"This is not the tier {name!r}",
            where=where,
            why=f"it is {identity}" + (f"; wanted is {uuid}" if uuid else ""),
            next_step="correct endpoint, bucket and prefix in the configuration",
        )
    return identity


def _read_features(bucket: Bucket, key: str) -> StoreFeatures:
    """What was found when the tier was made or last tried; the careful values where nothing was noted."""
    try:
        return StoreFeatures(**json.loads(bucket.read(key).data))
    except NotFoundError:
        return StoreFeatures()
    except (ValueError, TypeError) as error:
        raise IntegrityError(
            "The note of what the server can do cannot be read",
            where=f"{bucket.where}/{key}",
            why=str(error),
            next_step="move the object away; `jindang tier validate` finds out again what the server can do",
        ) from error
