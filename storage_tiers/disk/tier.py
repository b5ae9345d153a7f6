"""A tier on a disk: an OCFL storage root with an identity and a plain-text explanation beside the objects."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from repository.clock import Clock, SystemClock
from repository.durable import tier_errors, write_durable_file
from repository.errors import (
    IntegrityError,
    NotFoundError,
    SourceReadError,
    TierError,
    TierIdentityError,
    TierUnavailableError,
)
from repository.model import VersionSummary
from repository.ocfl.storage_root import StorageRoot
from repository.stop import StopToken
from storage_tiers.contract.trial import require_trial
from storage_tiers.disk.checking import check_copy
from storage_tiers.disk.reading import DiskVersion, find_version, object_folder, read_stored, versions_after
from storage_tiers.disk.writing import put_version, quarantine_version, remove_trial_version
from storage_tiers.fixity_outcome import Depth, FixityOutcome
from storage_tiers.identity import IDENTITY_FILE, TierIdentity
from storage_tiers.port import Capabilities, ExpectedVersion, OpenedVersion, Placed, Usage, VersionRef
from storage_tiers.reading import finding

README_FILE = "README.txt"
_CAPABILITIES: Final = Capabilities(parallel_reads=8, parallel_writes=2)
_SYSTEM_CLOCK: Final = SystemClock()


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskTier:
    """An opened disk tier: it is there, and it is the one that was named. A `StorageTier`.

    Before each piece of work it is asked again who it is, so that a disk which was unmounted meanwhile is told apart
    from one that has lost its files, and nothing is written into an empty mount point.
    """

    identity: TierIdentity
    root: StorageRoot
    clock: Clock = _SYSTEM_CLOCK

    @property
    def name(self) -> str:
        """The tier's name."""
        return self.identity.name

    @property
    def capabilities(self) -> Capabilities:
        """What every disk can do."""
        return _CAPABILITIES

    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        """Store a version; see the port."""
        self._require_identity()
        return Placed(status=put_version(self.root, source, stop=stop))

    def open_version(self, ref: VersionRef, *, location: str | None = None) -> OpenedVersion:  # noqa: ARG002
        """Open a version for reading; what is wrong with one of its files, its stream says."""
        return self._open(ref)

    def stat_version(self, ref: VersionRef) -> VersionSummary:
        """What is to be known of a version; every file of it is looked at, none but its metadata is read."""
        try:
            return self._open(ref).summary
        except SourceReadError as error:
            if not isinstance(error.cause, NotFoundError):
                raise error.cause from error
            raise IntegrityError(
                "A file of this version is missing",
                where=error.cause.where,
                next_step="restore the version from another copy",
            ) from error

    def list_versions(self, *, after: VersionRef | None = None) -> Iterator[VersionRef]:
        """Every version there is, in order. Memory: one folder's names at a level."""
        self._require_identity()
        with tier_errors(self.root.path):
            yield from versions_after(self.root, after)

    def verify_version(self, expected: ExpectedVersion, *, depth: Depth, stop: StopToken) -> FixityOutcome:
        """Read a copy from the medium and compare it; SCRUB reads as FULL does.

        What seems missing or unreadable is believed only when the tier is still there afterwards.
        """
        try:
            self._require_identity()
            outcome = check_copy(self.root, expected, depth=depth, stop=stop)
            if outcome.findings:
                self._require_identity()
        except TierError as error:
            return FixityOutcome(findings=(finding(error, None),))
        return outcome

    def quarantine_version(self, ref: VersionRef, *, note: Mapping[str, object]) -> str:
        """Move a version to `extensions/jindang-quarantine/`; see `disk_writing.quarantine_version`."""
        self._require_identity()
        return quarantine_version(self.root, ref, note=note, clock=self.clock)

    def usage(self) -> Usage:
        """Space on the tier; raises TierError."""
        self._require_identity()
        with tier_errors(self.root.path):
            answer = os.statvfs(self.root.path)
        return Usage(
            total_bytes=answer.f_blocks * answer.f_frsize,
            free_bytes=answer.f_bavail * answer.f_frsize,
        )

    def close(self) -> None:
        """Nothing is held."""

    def remove_trial(self, ref: VersionRef) -> None:
        """Remove one version of a trial object; see `TrialTier`."""
        require_trial(ref)
        self._require_identity()
        remove_trial_version(self.root, ref)

    def _open(self, ref: VersionRef) -> DiskVersion:
        self._require_identity()
        object_root = object_folder(self.root, ref.object_path)
        with tier_errors(object_root):
            stored = read_stored(object_root, find_version(object_root, ref.number))
        return DiskVersion(object_root, ref.object_path, stored)

    def _require_identity(self) -> None:
        """Raise TierUnavailableError or TierIdentityError when what lies here is not this tier any more."""
        _require_same(read_identity(self.root.path, name=self.name), self.root.path, self.name, self.identity.uuid)


def create_disk_tier(path: Path, *, name: str, institution: str) -> DiskTier:
    """Make an empty folder a tier; one that is there already is opened, an interrupted call is finished.

    Raises:
        TierIdentityError: the folder holds something else, or another tier.
        TierError: it cannot be written.
    """
    with tier_errors(path):
        if not (path / IDENTITY_FILE).exists():
            StorageRoot.create(path)
            if not (path / README_FILE).exists():
                write_durable_file(path / README_FILE, _README.encode(), mode=0o444)
            identity = TierIdentity.new(name, institution=institution)
            write_durable_file(path / IDENTITY_FILE, identity.to_bytes(), mode=0o444)
    return open_disk_tier(path, name=name)


def open_disk_tier(path: Path, *, name: str, uuid: str | None = None) -> DiskTier:
    """A tier that is there.

    Args:
        path: its folder.
        name: that the configuration gives it.
        uuid: that the catalogue knows it by; None where there is no catalogue to ask.

    Raises:
        TierUnavailableError: nothing is there, as when a disk is not mounted.
        TierIdentityError: something is there, but another tier or none.
    """
    identity = read_identity(path, name=name)
    _require_same(identity, path, name, uuid)
    return DiskTier(identity=identity, root=StorageRoot.open(path))


def read_identity(path: Path, *, name: str) -> TierIdentity:
    """What a folder says of itself.

    Raises:
        TierUnavailableError: it says nothing, as when a disk is not mounted.
        TierIdentityError: what it says cannot be read.
    """
    with tier_errors(path):
        try:
            data = (path / IDENTITY_FILE).read_bytes()
        except FileNotFoundError:
            raise TierUnavailableError(
                f"The tier {name!r} is not there",
                where=path,
                why="the folder has no jindang-tier.json" if path.is_dir() else "there is no such folder",
                next_step="mount the disk; `jindang init` makes a new tier in an empty folder",
            ) from None
    return TierIdentity.parse(data, where=path / IDENTITY_FILE)


def _require_same(identity: TierIdentity, path: Path, name: str, uuid: str | None) -> None:
    if identity.name != name or (uuid is not None and identity.uuid != uuid):
        raise TierIdentityError(
            f"This is not the tier {name!r}",
            where=path,
            why=f"it is {identity}" + (f"; wanted is {uuid}" if uuid else ""),
            next_step="mount the right disk, or correct the configuration",
        )


_README = """\
This folder is one copy of the records of an archive, kept by Jindang.
It can be read without Jindang, with standard tools, for as long as files can be read.

It is an OCFL 1.1 storage root (https://ocfl.io/1.1/spec/). Each object lies in a folder of its own:
three short folder names made from a hash, then the object's identifier in percent-encoding.

  inventory.json            which files belong to which version of the object, each with its SHA-512
  inventory.json.sha512     the digest of inventory.json itself
  v1/content/data/...       the files of the first version, exactly as they were deposited
  v1/content/metadata/      object.json: title, reference code, fonds, year, retention, access
  v1/content/submission/    what came with the deposit: manifests, bag-info.txt
  v2/content/...            only what is new in the second version; and so on

To find an object:    grep -rl --include=inventory.json 'J019-WS' .     by its identifier, or by a file's name
                      grep -rl --include=object.json '规划图' .         by its title or what else was said of it
                      (in identifiers, letters other than A-Z are written %XX: search for the part around them)
To prove an object:   cd into its folder, then
                      sha512sum -c inventory.json.sha512
                      awk -F'"' '/^  "[0-9a-f]+": \\[/ {d=$2} /^   "v[0-9]+\\// {print d "  " $2}' inventory.json |
                        sha512sum -c
                      (with sha256 for sha512 where inventory.json says so; a file whose name has a quote, a backslash
                      or a line break in it is compared by hand)
To get files back:    copy them from v1/content/data; inventory.json says what each is called in each version
                      ("manifest": digest -> stored file; "versions" ... "state": digest -> name)

Do not change, rename or add anything here by hand: copy it elsewhere first.

本目录是档案馆电子档案的一份完整副本，符合 OCFL 1.1 标准，不依赖任何专用软件即可读取。
每个对象一个目录：inventory.json 列出各版本的全部文件及其 SHA-512 值；v1/content/data 下是原始文件。
请勿在此目录内修改、改名或添加文件；如需使用，请先复制到别处。
"""
