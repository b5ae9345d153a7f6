"""The backup base: a borg repository at another site, which gives back the storage root as it was at a point in time.

An archive is a batch of object versions that are new since the last one (docs/adr/0008). It counts only when all of
it was read back: until then its name ends in `.unread`, and it is made anew by whoever comes next.
"""

import functools
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Final

from replication.base.archives import (
    UNREAD,
    Archive,
    ArchiveStats,
    BaseComparison,
    KeepRules,
    archives_to_prune,
    check_name,
    compare_archives,
    parse_archives,
    parse_stats,
)
from replication.base.borg import Outcome, run_borg
from replication.base.check import CheckDepth, CheckReport, check_arguments, report_of
from replication.base.errors import ARCHIVE_EXISTS, NO_ARCHIVE, error_of
from replication.base.options import BaseOptions
from replication.base.paths import EXTRA_FOLDER, list_paths, stage_extras
from replication.base.reading import ArchiveReader, ExpectedFile, Extraction, OnLine, ReadBack, extract_object
from repository.durable import free_bytes, remove_tree
from repository.errors import BackupError, BaseTamperedError, ConfigError, InvalidInputError
from repository.stop import StopToken

KEY_FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "base-key.txt": (),
    "base-key-paper.txt": ("--paper",),
    "base-key-qr.html": ("--qr-html",),
}
"""Name of an exported key -> the option of `borg key export`: to import, to type in from paper, to scan."""

_CREATE: Final = (
    "--json",
    "--compression=none",  # page images are compressed already; trying costs more than it saves
    "--chunker-params=buzhash,19,23,21,4095",
    "--files-cache=disabled",  # a version is read once in its life; remembering 28 million files helps nobody
    "--checkpoint-interval=300",
    "--noacls",
    "--noxattrs",
    "--noflags",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseUsage:
    """Space of the base, in bytes.

    Args:
        stored_bytes: what all archives together take, deduplicated.
        original_bytes: the sum of all their files.
        free_bytes: what may still be written; None over ssh, where nobody says.
    """

    stored_bytes: int
    original_bytes: int
    free_bytes: int | None


class BackupBase:
    """One borg repository.

    Every method may raise BaseUnavailableError (cannot be reached, is locked: try again later), BaseFullError,
    BaseTamperedError, ConfigError (wrong passphrase, no key, no repository), IntegrityError (stored bytes are
    damaged), BackupError (all else that borg refuses), and OperationCancelledError when `stop` was set.
    """

    def __init__(self, options: BaseOptions) -> None:
        self.options = options

    def create(self, *, stop: StopToken) -> str:
        """Make an empty, encrypted base where nothing is, and return its identity. Export its key at once.

        A base on this machine is made append-only. One over ssh is append-only for the key that is bound to
        `borg serve --append-only`, and must not be so for the key of maintenance.
        """
        local = [] if self.options.is_remote else ["--append-only"]
        self._done(["init"], "--encryption=repokey-blake2", *local, self.options.repository, stop=stop)
        return self.identity(stop=stop)

    def identity(self, *, stop: StopToken) -> str:
        """The id that borg gave it, 64 hex digits: another base has another one."""
        outcome = self._done(["list"], "--json", "--last=1", self.options.repository, stop=stop)
        identity: str = json.loads(outcome.output)["repository"]["id"]
        return identity

    def export_key(self, into: Path, *, stop: StopToken) -> list[Path]:
        """Write the key three times into a folder: to import, on paper, as a picture. Useless without the passphrase.

        Raises:
            InvalidInputError: one of the files is there already.
        """
        into.mkdir(parents=True, exist_ok=True)
        files = {into / name: form for name, form in KEY_FILES.items()}
        for file in files:
            if os.path.lexists(file):
                raise InvalidInputError(
                    "An exported key is never written over another file", where=file, next_step="name an empty folder"
                )
        for file, form in files.items():
            self._done(["key", "export"], *form, self.options.repository, str(file.resolve()), stop=stop)
        return list(files)

    def import_key(self, exported: Path, *, stop: StopToken) -> None:
        """Give a base that has lost its key the exported one (`base-key.txt`) back."""
        self._done(["key", "import"], self.options.repository, str(exported.resolve()), stop=stop)

    def archives(self, *, stop: StopToken) -> list[Archive]:
        """All archives that count, oldest first; checkpoints and what was not read back are not among them."""
        return [each for each in self._list_archives(stop) if not each.name.endswith(UNREAD)]

    def make_archive(
        self,
        name: str,
        folder: Path,
        paths: Iterable[str],
        *,
        extra: Mapping[str, Path] | None = None,
        comment: str = "",
        stop: StopToken,
    ) -> ArchiveStats:
        """Send files to the base. The archive counts after `read_back` and `accept`.

        After an interruption of whatever kind the same call again succeeds; what the base had by then, up to its last
        checkpoint, is not sent again.

        Args:
            name: of the archive, without the ending: `records-...` or `catalogue-...`.
            folder: the storage root.
            paths: of files below it, relative; exactly these are stored, and no folder is walked.
            extra: name below `jindang/` in the archive -> file of this machine.
            comment: kept with the archive.
            stop: makes borg save a checkpoint and end.

        Raises:
            BackupError: also when a file was missing, unreadable, or changed while it was read.
        """
        archive = self._location(f"{check_name(name)}{UNREAD}")
        described = ["--comment", comment.replace("{", "{{").replace("}", "}}")]
        with self._scratch() as scratch, tempfile.TemporaryFile(dir=scratch) as listed:
            extras = stage_extras(extra or {}, scratch)
            options, listed_arguments = list_paths(chain(paths, extras), listed)
            create = functools.partial(
                self._borg, ["create"], *_CREATE, *described, *options, "--", archive, *listed_arguments, stop=stop
            )
            outcome = create(folder=folder, stdin=listed)
            if outcome.exit_code == ARCHIVE_EXISTS:  # left behind, and never read back: nobody counts on it
                self._done(["delete"], archive, stop=stop)
                listed.seek(0)
                outcome = create(folder=folder, stdin=listed)
        return parse_stats(self._judged(outcome, archive).output)

    def accept(self, archive: str, *, stop: StopToken) -> Archive:
        """Give an archive that was read back the name under which it counts. Doing it twice is fine.

        Args:
            archive: `ArchiveStats.archive`.
            stop: polled.

        Raises:
            NotFoundError: there is no such archive.
        """
        name = archive.removesuffix(UNREAD)
        outcome = self._borg(["rename"], self._location(f"{name}{UNREAD}"), name, stop=stop)
        if not outcome.is_ok and outcome.exit_code != NO_ARCHIVE:
            raise error_of(outcome, self._location(archive))
        accepted = {each.name: each for each in self.archives(stop=stop)}.get(name)
        if accepted is None:
            raise error_of(outcome, self._location(archive))
        return accepted

    def read_back(self, archive: str, expected: Iterable[ExpectedFile], *, stop: StopToken) -> ReadBack:
        """Have every byte of an archive read on the base, and compare; see `ArchiveReader.read_back`."""
        return self._reader(archive, stop).read_back(expected)

    def read_extra(self, archive: str, name: str, into: Path, *, stop: StopToken) -> None:
        """Write one of the files below `jindang/` of an archive to a new file.

        Raises:
            NotFoundError: the archive has no such file.
        """
        self._reader(archive, stop).read_file(f"{EXTRA_FOLDER}/{name}", into)

    def extract_object(self, archives: Iterable[str], object_path: str, into: Path, *, stop: StopToken) -> Extraction:
        """Bring an object back to `into/object_path` from the archives that hold its versions, oldest first.

        Damage does not end it: what could not be brought back is told, file by file.

        Raises:
            NotFoundError: none of the archives has anything of it.
        """
        return extract_object((self._reader(name, stop) for name in archives), object_path, into)

    def check(self, depth: CheckDepth, *, max_duration_s: int | None = None, stop: StopToken) -> CheckReport:
        """Have the base checked where it stands; nothing is repaired."""
        arguments = check_arguments(depth, max_duration_s)
        outcome = self._borg(["check"], *arguments, self.options.repository, stop=stop)
        return report_of(outcome, depth, self.options.repository)

    def compare_with_record(self, known: Iterable[Archive], *, stop: StopToken) -> BaseComparison:
        """Compare the archives that count with those that we know we made.

        An append-only base lets whoever has our key delete archives: they vanish from its list, and their bytes stay
        until somebody compacts it. So a loss must be noticed before that.
        """
        return compare_archives(known, self.archives(stop=stop))

    def prune_catalogue_archives(self, keep: KeepRules, known: Iterable[Archive], *, stop: StopToken) -> list[Archive]:
        """Delete the catalogue archives that no rule keeps, and return them; record archives stay for ever.

        The key of maintenance is used. Note what `archives_to_prune` says before, or their loss is unexplained after.

        Raises:
            BaseTamperedError: something that we made is not there.
        """
        recorded, key = list(known), self._maintenance_key()
        self._refuse_losses(recorded, stop)
        doomed = archives_to_prune(recorded, keep)
        if doomed:
            names = [each.name for each in doomed]
            self._done(["delete"], self.options.repository, *names, ssh_key=key, stop=stop)
        return doomed

    def compact(self, known: Iterable[Archive], *, stop: StopToken) -> str:
        """Free the space of what was deleted, for good; returns what borg says that it freed.

        The key of maintenance is used. On this machine, where there is no such key, append-only is lifted meanwhile.

        Raises:
            BaseTamperedError: something that we made is not there; nothing was freed.
            BackupError: borg did nothing, because this key may only append.
        """
        key = self._maintenance_key()
        self._refuse_losses(known, stop)
        with self._appending_lifted():
            outcome = self._done(["compact"], "--info", self.options.repository, ssh_key=key, stop=stop)
        freed = [line.message for line in outcome.log if line.message.startswith("compaction freed")]
        if not freed:
            raise BackupError(
                "Nothing was compacted: the base only lets us append",
                where=self.options.repository,
                why="borg says nothing of it and ends as if all were well",
                next_step="compact with the key of maintenance, whose line in authorized_keys has no --append-only",
            )
        return freed[0]

    def usage(self, *, stop: StopToken) -> BaseUsage:
        """How much the base holds."""
        outcome = self._done(["info"], "--json", self.options.repository, stop=stop)
        stats = json.loads(outcome.output)["cache"]["stats"]
        return BaseUsage(
            stored_bytes=stats["unique_csize"],
            original_bytes=stats["total_size"],
            free_bytes=None if self.options.is_remote else free_bytes(Path(self.options.repository)),
        )

    def _refuse_losses(self, known: Iterable[Archive], stop: StopToken) -> None:
        comparison = self.compare_with_record(known, stop=stop)
        if comparison.has_losses:
            raise BaseTamperedError(
                "Archives that we made are not on the backup base any more; nothing is freed there",
                where=self.options.repository,
                why="; ".join(comparison.messages()),
                next_step="find out who deleted them. Their bytes are still there as long as nobody compacts: "
                "docs/how-to/set-up-the-backup-base.md says how to get them back",
            )

    def _maintenance_key(self) -> Path | None:
        if self.options.is_remote and self.options.maintenance_ssh_key is None:
            raise ConfigError(
                "Freeing space on the backup base needs the key of maintenance",
                where=self.options.repository,
                next_step="bring that key, and name it in the configuration for as long as it is needed",
            )
        return self.options.maintenance_ssh_key

    @contextmanager
    def _appending_lifted(self) -> Iterator[None]:
        """Borg's own mark on a base on this machine: it protects against mistakes, not against a thief."""
        if self.options.is_remote:
            yield
            return
        self._done(["config"], self.options.repository, "append_only", "0", stop=StopToken())
        try:
            yield
        finally:
            self._done(["config"], self.options.repository, "append_only", "1", stop=StopToken())

    def _reader(self, archive: str, stop: StopToken) -> ArchiveReader:
        def call(
            command: Sequence[str], *arguments: str, folder: Path | None = None, on_line: OnLine | None = None
        ) -> Outcome:
            return self._borg(command, *arguments, folder=folder, on_line=on_line, stop=stop)

        return ArchiveReader(call, location=self._location(archive), archive=archive)

    def _list_archives(self, stop: StopToken) -> list[Archive]:
        arguments = ("--json", "--format", "{comment}", "--sort-by=timestamp", self.options.repository)
        return parse_archives(self._done(["list"], *arguments, stop=stop).output)

    def _location(self, archive: str) -> str:
        return f"{self.options.repository}::{archive}"

    @contextmanager
    def _scratch(self) -> Iterator[Path]:
        """A folder of ours; what a killed process left behind is small, and goes with the state folder."""
        self.options.state_folder.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="batch-", dir=self.options.state_folder))
        try:
            yield folder
        finally:
            remove_tree(folder)

    def _borg(
        self,
        command: Sequence[str],
        *arguments: str,
        stop: StopToken,
        ssh_key: Path | None = None,
        folder: Path | None = None,
        stdin: BinaryIO | None = None,
        on_line: OnLine | None = None,
    ) -> Outcome:
        return run_borg(
            self.options,
            command,
            *arguments,
            stop=stop,
            ssh_key=ssh_key,
            folder=folder,
            stdin=stdin,
            on_line=on_line,
        )

    def _done(self, command: Sequence[str], *arguments: str, stop: StopToken, ssh_key: Path | None = None) -> Outcome:
        return self._judged(self._borg(command, *arguments, stop=stop, ssh_key=ssh_key), self.options.repository)

    def _judged(self, outcome: Outcome, where: str) -> Outcome:
        if not outcome.is_ok:
            raise error_of(outcome, where)
        return outcome
