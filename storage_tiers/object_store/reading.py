"""Reading versions from an object store: what lies beside a pack, one file of it, or every byte."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from repository.aip import parse_summary
from repository.errors import (
    DigestMismatchError,
    IntegrityError,
    NotFoundError,
    OperationCancelledError,
    RepositoryError,
)
from repository.model import VersionSummary
from repository.ocfl.inventory import Inventory, parse_inventory
from repository.stop import StopToken
from storage_tiers.fixity_outcome import Depth, FixityOutcome
from storage_tiers.object_store.client import Bucket, ObjectRanges, SmallObject
from storage_tiers.object_store.names import Names
from storage_tiers.object_store.sealing import Sealing
from storage_tiers.object_store.writing import PACK_BYTES, pinned_versions
from storage_tiers.packs.reading import PackReader
from storage_tiers.packs.version import PackedVersion
from storage_tiers.port import ExpectedVersion, VersionRef
from storage_tiers.reading import finding, identity_findings, read_in_full


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionReader:
    """Reads versions from one bucket. Safe to use from several threads.

    Args:
        bucket: where.
        names: how objects are called there.
        sealing: encryption, or none.
    """

    bucket: Bucket
    names: Names
    sealing: Sealing

    def stat(self, ref: VersionRef, *, location: str | None = None) -> VersionSummary:
        """As `StorageTier.stat_version`; one request."""
        return self._summary(ref, pinned_versions(location))[0]

    def open(self, ref: VersionRef, *, location: str | None = None) -> PackedVersion:
        """As `StorageTier.open_version`; two requests. One file of it takes two more."""
        return self._opened(ref, pinned_versions(location))[0]

    def verify(self, expected: ExpectedVersion, *, depth: Depth, stop: StopToken) -> FixityOutcome:
        """As `StorageTier.verify_version`. FULL and SCRUB read the three objects whole, with the same digests."""
        bucket = self.bucket.metered()
        reader = replace(self, bucket=bucket)
        try:
            if depth is Depth.PRESENCE:
                outcome = reader._presence(expected)  # noqa: SLF001 - itself
            else:
                with reader.open(expected.ref, location=expected.location) as opened:
                    outcome = read_in_full(opened, expected, stop=stop)
        except OperationCancelledError:
            raise
        except RepositoryError as error:
            outcome = FixityOutcome(findings=(finding(error, None),))
        spent = bucket.traffic()
        return replace(outcome, requests=spent.requests, read_bytes=spent.read_bytes)

    def _presence(self, expected: ExpectedVersion) -> FixityOutcome:
        """Read what lies beside the pack, and ask for the pack's size."""
        pins, key = pinned_versions(expected.location), self.names.of(expected.ref).pack
        opened, summary = self._opened(expected.ref, pins)
        findings = identity_findings(opened, expected)
        found_bytes = self.bucket.head(key, version_id=pins.get(key)).size_bytes
        said = summary.stored.metadata.get(PACK_BYTES)
        if not self.sealing.is_encrypted and said not in (None, str(found_bytes)):
            wrong = DigestMismatchError(
                "A pack has another size than was written",
                where=f"{self.bucket.where}/{key}",
                expected=f"{said} bytes",
                observed=f"{found_bytes} bytes",
            )
            findings.append(finding(wrong, None))
        return FixityOutcome(findings=tuple(findings))

    def _opened(self, ref: VersionRef, pins: Mapping[str, str | None]) -> tuple[PackedVersion, SmallObject]:
        """The version, and its summary as it is stored."""
        summary, stored = self._summary(ref, pins)
        inventory, data = self._inventory(ref, pins, summary)
        return PackedVersion(summary, inventory, data, self._pack_reader(ref, pins, stored)), stored

    def _inventory(
        self, ref: VersionRef, pins: Mapping[str, str | None], summary: VersionSummary
    ) -> tuple[Inventory, bytes]:
        key = self.names.of(ref).inventory
        where = f"{self.bucket.where}/{key}"
        try:
            stored = self.bucket.read(key, version_id=pins.get(key)).data
        except NotFoundError as error:
            what = "The inventory beside a pack is missing"
            raise IntegrityError(what, where=where, next_step=_NEXT_STEP) from error
        data = self.sealing.opened(stored, where=where)
        inventory = parse_inventory(data, where=where)
        digest = hashlib.new(inventory.digest_algorithm, data).hexdigest()
        if digest != summary.record.inventory_digest or inventory.head.number != ref.number:
            raise IntegrityError(
                "The inventory beside a pack is not the one that its summary names",
                where=where,
                why=f"expected {summary.record.inventory_digest}, found {digest}",
                next_step=_NEXT_STEP,
            )
        return inventory, data

    def _summary(self, ref: VersionRef, pins: Mapping[str, str | None]) -> tuple[VersionSummary, SmallObject]:
        key = self.names.of(ref).summary
        where = f"{self.bucket.where}/{key}"
        try:
            read = self.bucket.read(key, version_id=pins.get(key))
        except NotFoundError as error:
            raise NotFoundError(
                "This version is not in the object store",
                where=where,
                next_step="copy it there from another tier; `jindang replicate run` does",
            ) from error
        summary = parse_summary(self.sealing.opened(read.data, where=where), where=where)
        if VersionRef(summary.object_path, summary.record.number) != ref:
            raise IntegrityError(
                "The summary of a version is that of another one",
                where=where,
                why=f"it says {summary.object_path}, v{summary.record.number}",
                next_step=_NEXT_STEP,
            )
        return summary, read

    def _pack_reader(self, ref: VersionRef, pins: Mapping[str, str | None], summary: SmallObject) -> PackReader:
        key = self.names.of(ref).pack
        where = f"{self.bucket.where}/{key}"
        ranges = ObjectRanges(self.bucket, key, pins.get(key))
        said = summary.stored.metadata.get(PACK_BYTES, "")
        if said.isdecimal() and not self.sealing.is_encrypted:
            return PackReader(ranges, int(said), where=where)
        stored_bytes = self.bucket.head(key, version_id=pins.get(key)).size_bytes
        plain_bytes = self.sealing.plain_bytes(ranges, stored_bytes)
        return PackReader(self.sealing.ranges(ranges, stored_bytes, where=where), plain_bytes, where=where)


_NEXT_STEP = "restore the copy from another tier"
