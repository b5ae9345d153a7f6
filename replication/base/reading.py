"""Reading what lies on the backup base: every byte of an archive against what is expected, and objects back out.

borg reads, decrypts and hashes the content itself. It stops at the first bad chunk, here and in `extract`; what it
stopped at is then noted as bad, and it is called again for what comes after it.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from replication.base.borg import Outcome
from replication.base.errors import NOTHING_MATCHED, error_of, is_damage
from repository.errors import NotFoundError, RepositoryError

MOST_DAMAGES: Final = 1000
"""After so many bad files in one archive reading ends, and all that come after them count as unreadable."""

_PATHS_IN_A_CALL: Final = 400  # the kernel takes 2 MiB of arguments, and a path may have 4 KiB


class ExpectedFile(NamedTuple):
    """A file as an OCFL inventory, or whoever made it, says that it is."""

    path: str
    algorithm: str
    """`sha512`, `sha256` or another one that Python's hashlib always has."""
    digest: str
    """Lower-case hex."""
    size_bytes: int


class Member(NamedTuple):
    """A file as it lies in an archive."""

    path: str
    size_bytes: int
    digest: str
    is_healthy: bool
    """False when `borg check --repair` has put zeros in the place of what was lost."""
    link_to: str
    """Path of the file before it that this one was a hard link to, which then has its bytes; else empty."""


@dataclass(slots=True, kw_only=True)
class ReadBack:
    """What reading a whole archive has shown.

    Args:
        read_files: files whose bytes were read.
        read_bytes: of these files.
        missing: paths that were expected and are not in the archive.
        mismatched: paths with another size or digest.
        unreadable: paths whose bytes on the base are damaged.
        extra: paths that were not expected.
    """

    read_files: int = 0
    read_bytes: int = 0
    missing: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything expected was read and is as expected, and nothing else is there."""
        return not (self.missing or self.mismatched or self.unreadable or self.extra)


@dataclass(frozen=True, slots=True, kw_only=True)
class LostFile:
    """A file that could not be brought back from an archive."""

    archive: str
    path: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Extraction:
    """What bringing an object back came to: how many archives have something of it, and what is lost."""

    archives: int
    lost: tuple[LostFile, ...]


class BorgCall(Protocol):
    """Calls borg for one base; see `run_borg`."""

    def __call__(
        self, command: Sequence[str], *arguments: str, folder: Path | None = None, on_line: "OnLine | None" = None
    ) -> Outcome:
        """Run borg to its end."""
        ...


OnLine = Callable[[bytes], object]


class ArchiveReader:
    """Reads one archive.

    Args:
        borg: calls borg, and stops when asked to.
        location: `repository::archive`.
        archive: its name, for findings.
    """

    def __init__(self, borg: BorgCall, *, location: str, archive: str) -> None:
        self._borg = borg
        self._location = location
        self._archive = archive

    def read_back(self, expected: Iterable[ExpectedFile]) -> ReadBack:
        """Have every byte of the archive read, and compare.

        Memory: as much as the order of `expected` differs from the order of the archive, which is that in which its
        paths were given. Files whose digest is by another algorithm than the first one's, and hard links, cost a
        second call.

        Raises:
            NotFoundError: there is no such archive.
            IntegrityError: not even the list of its files can be read.
            BackupError: the base could not be read.
            OperationCancelledError: as the call of borg was told.
        """
        files = iter(expected)
        first = next(files, None)
        algorithm = "sha512" if first is None else first.algorithm
        comparison = _Comparison(files if first is None else chain([first], files), algorithm)
        process = self._hashing(algorithm, comparison.take)
        comparison.result.unreadable = go_on_after_damage(process, lambda: [each.path for each in self.members()])
        comparison.finish()
        for other, waiting in comparison.to_hash_again.items():
            self._hash_again(other, waiting, comparison.result)
        return comparison.result

    def _hash_again(self, algorithm: str, waiting: Sequence[tuple[ExpectedFile, str]], result: ReadBack) -> None:
        """Read single files: those with another algorithm, and what hard links lead to."""
        found: dict[str, Member] = {}
        sources = list(dict.fromkeys(source for _, source in waiting))
        _in_parts(self._hashing(algorithm, lambda member: found.update({member.path: member})), sources)
        damaged = set(result.unreadable)
        for file, source in waiting:
            member = found.get(source)
            if member is None:
                result.unreadable += [] if file.path in damaged else [file.path]
            elif not _is_as_expected(file, member):
                result.mismatched.append(file.path)

    def _hashing(self, algorithm: str, take: Callable[[Member], None]) -> "Process":
        def process(paths: Sequence[str]) -> tuple[int, RepositoryError | None]:
            done = 0

            def on_line(line: bytes) -> None:
                nonlocal done
                take(_parse_member(line, algorithm))
                done += 1

            damage = self._damage_in(self._list(f"{{size}}{{{algorithm}}}", on_line, paths))
            return done, damage

        return process

    def members(self, object_path: str | None = None) -> list[Member]:
        """All files, or those of one object, in their order, without digests; no content is read."""
        found: list[Member] = []
        selection = [] if object_path is None else [f"pp:{object_path}"]
        outcome = self._list("{size}", lambda line: found.append(_parse_member(line, None)), selection, style="")
        if not outcome.is_ok and outcome.exit_code != NOTHING_MATCHED:
            raise error_of(outcome, self._location)
        return found

    def _list(self, form: str, on_line: OnLine, paths: Sequence[str], *, style: str = "pf:") -> Outcome:
        selection = [f"{style}{path}" for path in paths]
        return self._borg(["list"], "--json-lines", "--format", form, self._location, *selection, on_line=on_line)

    def _damage_in(self, outcome: Outcome) -> RepositoryError | None:
        if outcome.is_ok:
            return None
        error = error_of(outcome, self._location)
        if not is_damage(outcome):
            raise error
        return error

    def extract(self, object_path: str, into: Path) -> list[LostFile] | None:
        """Bring back all files of an object that lie in this archive; None when there are none.

        Files that cannot be read, or that a repair has filled with zeros, are left out and returned.

        Raises: as `read_back`.
        """
        found = self.members(object_path)
        if not found:
            return None
        zeroed = {member.path for member in found if not member.is_healthy}
        wanted = [member.path for member in found if member.is_healthy]

        def process(paths: Sequence[str]) -> tuple[int, RepositoryError | None]:
            outcome = self._extract_files(into, [f"pf:{path}" for path in paths])
            done = sum(1 for line in outcome.log if line.name == "borg.output.list")
            damage = self._damage_in(outcome)
            return (done if damage is None else max(0, done - 1)), damage  # the last one listed was begun

        damaged = _in_parts(process, wanted)
        for path in damaged:
            (into / path).unlink(missing_ok=True)
        return [
            *(self._lost(path, "its bytes on the base are damaged") for path in damaged),
            *(self._lost(path, "a repair of the base has put zeros in its place") for path in sorted(zeroed)),
        ]

    def read_file(self, path: str, into: Path) -> None:
        """Write the content of one file to a new file.

        Raises:
            NotFoundError: the archive has no such file.
            IntegrityError: its bytes on the base are damaged; what was written is to be thrown away.
        """
        with into.open("xb") as file:
            outcome = self._borg(["extract"], "--stdout", self._location, f"pp:{path}", on_line=file.write)
        if outcome.exit_code == NOTHING_MATCHED:
            raise NotFoundError("The archive has no such file", where=f"{self._location}: {path}")
        if not outcome.is_ok:
            raise error_of(outcome, f"{self._location}: {path}")

    def _lost(self, path: str, why: str) -> LostFile:
        return LostFile(archive=self._archive, path=path, why=why)

    def _extract_files(self, into: Path, selection: Sequence[str]) -> Outcome:
        into.mkdir(parents=True, exist_ok=True)
        return self._borg(["extract"], "--list", self._location, *selection, folder=into)


def extract_object(readers: Iterable[ArchiveReader], object_path: str, into: Path) -> Extraction:
    """Bring an object back from the archives that hold its versions, oldest first; later ones win.

    Raises:
        NotFoundError: none of them has anything of it.
        BackupError: the base could not be read.
    """
    lost: list[LostFile] = []
    archives = 0
    for reader in readers:
        found = reader.extract(object_path, into)
        if found is not None:
            archives += 1
            lost += found
    if not archives:
        raise NotFoundError(
            "No archive of the backup base has this object",
            where=object_path,
            next_step="see `jindang backup list`, or take it from another tier",
        )
    return Extraction(archives=archives, lost=tuple(lost))


Process = Callable[[Sequence[str]], tuple[int, RepositoryError | None]]
"""Works on the files named, or on all when none is; returns how many it finished, in order, and the damage it met."""


def go_on_after_damage(process: Process, names: Callable[[], list[str]]) -> list[str]:
    """Work on everything; after damage, on what comes after the bad file. Returns the bad ones, in order.

    Args:
        process: see there.
        names: all names in their order; called only after damage.

    Raises:
        RepositoryError: there is damage that belongs to no file.
    """
    done, damage = process([])
    if damage is None:
        return []
    rest = names()[done:]
    if not rest:
        raise damage
    return [rest[0], *_in_parts(process, rest[1:], met=1)]


def _in_parts(process: Process, names: Sequence[str], *, met: int = 0) -> list[str]:
    bad: list[str] = []
    rest = list(names)
    while rest:
        if met + len(bad) >= MOST_DAMAGES:
            return [*bad, *rest]
        part = rest[:_PATHS_IN_A_CALL]
        done, damage = process(part)
        if damage is None:
            rest = rest[len(part) :]
            continue
        if done >= len(part):
            raise damage
        bad.append(rest[done])
        rest = rest[done + 1 :]
    return bad


class _Comparison:
    """Compares members with what is expected, as both come; what comes early waits."""

    def __init__(self, expected: Iterator[ExpectedFile], algorithm: str) -> None:
        self._expected = expected
        self._algorithm = algorithm
        self._waiting: dict[str, ExpectedFile] = {}
        self.result = ReadBack()
        self.to_hash_again: dict[str, list[tuple[ExpectedFile, str]]] = {}
        """Algorithm -> files whose bytes it has not been said of, each with the path that has them."""

    def take(self, member: Member) -> None:
        self.result.read_files += 1
        self.result.read_bytes += member.size_bytes
        wanted = self._waiting.pop(member.path, None) or self._next_named(member.path)
        if wanted is None:
            self.result.extra.append(member.path)
        elif member.link_to or wanted.algorithm != self._algorithm:
            source = member.link_to or member.path
            self.to_hash_again.setdefault(wanted.algorithm, []).append((wanted, source))
        elif not _is_as_expected(wanted, member):
            self.result.mismatched.append(member.path)

    def finish(self) -> None:
        """Whatever nobody has seen is missing, unless it was seen and could not be read."""
        unreadable = set(self.result.unreadable)
        rest = [*self._waiting, *(file.path for file in self._expected)]
        self.result.missing = [path for path in rest if path not in unreadable]

    def _next_named(self, path: str) -> ExpectedFile | None:
        for file in self._expected:
            if file.path == path:
                return file
            self._waiting[file.path] = file
        return None


def _is_as_expected(file: ExpectedFile, member: Member) -> bool:
    return member.is_healthy and (file.size_bytes, file.digest) == (member.size_bytes, member.digest)


def _parse_member(line: bytes, algorithm: str | None) -> Member:
    item = json.loads(line)
    return Member(
        path=item["path"],
        size_bytes=int(item["size"]),
        digest="" if algorithm is None else item[algorithm],
        is_healthy=item["healthy"],
        link_to=item["source"] if item["mode"].startswith("h") else "",
    )
