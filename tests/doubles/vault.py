"""A small repository in this process, and the account of what was asked of it and what it acknowledged."""

import contextlib
import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from repository.catalog.catalog import Catalog
from repository.ingest.recover import Recovery, recover
from repository.ingest.request import IngestOutcome, IngestRequest, IngestRules, IngestStatus
from repository.ingest.run import IngestRun
from repository.model import ObjectId
from repository.ocfl.storage_root import StorageRoot
from repository.stop import StopToken

TIER = "primary"
PREFIX = "urn:jindang:test:"
RULES = IngestRules(identifier_prefix=PREFIX, agent="tester", software="Jindang test")
START = datetime(2026, 11, 22, 8, tzinfo=UTC)


class SteppingClock:
    """Goes on by a second whenever it is read; no time passes between, so that runs are the same each time."""

    def __init__(self) -> None:
        self._ticks = itertools.count()

    def now(self) -> datetime:
        return START + timedelta(seconds=next(self._ticks))

    def monotonic_s(self) -> float:
        return 0.0


class SmallVault:
    """A storage root and a SQLite catalogue that knows it; nothing is open between two calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root_path = folder / "primary"
        self.url = f"sqlite:///{folder / 'catalogue.sqlite'}"

    @classmethod
    def create(cls, folder: Path) -> "SmallVault":
        vault = cls(folder)
        StorageRoot.create(vault.root_path)
        catalog = Catalog(vault.url)
        catalog.create()
        catalog.register_tier(TIER, uuid="00000000-0000-4000-8000-000000000001", kind="disk")
        catalog.close()
        return vault

    def copy(self, folder: Path) -> "SmallVault":
        shutil.copytree(self.folder, folder)
        return SmallVault(folder)

    @property
    def root(self) -> StorageRoot:
        return StorageRoot.open(self.root_path)

    @contextlib.contextmanager
    def catalog(self) -> Iterator[Catalog]:
        with Catalog(self.url) as catalog:
            yield catalog

    def object_root(self, name: str) -> Path:
        return self.root.object_root(self.root.object_path(uri_of(name)))

    def ingest(
        self,
        sources: Iterable[Path],
        *,
        told: Callable[[IngestOutcome], None] = lambda _outcome: None,
        watch: Callable[[Catalog], None] = lambda _catalog: None,
        workers: int = 1,
    ) -> list[IngestOutcome]:
        """Take in packages; `told` hears each outcome at the moment when it is acknowledged."""
        outcomes = []
        with self.catalog() as catalog:
            watch(catalog)
            run = IngestRun(
                catalog,
                self.root,
                tier=TIER,
                rules=RULES,
                workers=workers,
                clock=SteppingClock(),
                stop=StopToken(),
            )
            for outcome in run.ingest([IngestRequest(source=source) for source in sources]):
                told(outcome)
                outcomes.append(outcome)
        return outcomes

    def recover(self, *, watch: Callable[[Catalog], None] = lambda _catalog: None) -> Recovery:
        with self.catalog() as catalog:
            watch(catalog)
            return recover(catalog, self.root, tier=TIER)


def uri_of(name: str) -> str:
    """The URI of the object that a package of this name becomes."""
    return ObjectId.parse(name, prefix=PREFIX).uri


def write_package(folder: Path, files: Mapping[str, bytes]) -> Path:
    """A folder package with just these files; what was there before is replaced."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


Payload = dict[str, str]
"""Path inside the package -> SHA-512 of the file."""


def payload_of(package: Path) -> Payload:
    return {
        path.relative_to(package).as_posix(): hashlib.sha512(path.read_bytes()).hexdigest()
        for path in package.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


@dataclass(slots=True)
class Account:
    """What was asked for, and what the repository said that it has."""

    attempted: dict[str, list[Payload]] = field(default_factory=dict)
    """URI -> everything that a version of it may hold."""
    acknowledged: dict[str, dict[int, Payload]] = field(default_factory=dict)
    """URI -> version -> what it has to hold, for ever."""

    def attempt(self, sources: Iterable[Path], *, prefix: str = PREFIX) -> None:
        """Packages are given to the repository under their folders' names."""
        for source in sources:
            uri = ObjectId.parse(source.name, prefix=prefix).uri
            payload, known = payload_of(source), self.attempted.setdefault(uri, [])
            if payload not in known:
                known.append(payload)

    def acknowledge(self, uri: str, version: int, source: Path) -> None:
        """The repository said that this version holds what the package holds."""
        payload = payload_of(source)
        before = self.acknowledged.setdefault(uri, {}).setdefault(version, payload)
        if before != payload:
            raise AssertionError(f"{uri} v{version} was acknowledged for two different packages, now for {source}")

    def take(self, outcome: IngestOutcome) -> None:
        """Note an outcome, if it acknowledges anything."""
        if outcome.is_acknowledged and outcome.object_id is not None and outcome.version is not None:
            self.acknowledge(outcome.object_id.uri, outcome.version, outcome.source)

    def copy(self) -> "Account":
        return Account(
            attempted={uri: list(payloads) for uri, payloads in self.attempted.items()},
            acknowledged={uri: dict(versions) for uri, versions in self.acknowledged.items()},
        )


def outcome_line(outcome: IngestOutcome) -> str:
    """An outcome on one line, for another process; `outcome_from` reads it."""
    uri = outcome.object_id.uri if outcome.object_id else None
    return json.dumps([str(outcome.source), outcome.status, uri, outcome.version, str(outcome.error or "")])


def outcome_from(line: str) -> IngestOutcome:
    source, status, uri, version, _ = json.loads(line)
    return IngestOutcome(
        source=Path(source),
        status=IngestStatus(status),
        object_id=ObjectId(uri) if uri else None,
        version=version,
    )
