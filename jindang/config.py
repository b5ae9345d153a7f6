"""What an operator may write in `jindang.yaml`: the schema, its checks, and the frozen settings it becomes.

Descriptions stand here once; the sample file (`jindang init`), the reference page and `jindang config schema` are
made from them.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ByteSize, Field, ValidationInfo, field_validator

from jindang.config_base import BackupBase
from jindang.config_policies import PlacementPolicy
from jindang.config_tiers import Disk, ObjectStore, Place, Tier, problems_of_tiers
from jindang.config_values import ConfigPath, Secret, Section, Size, from_config_folder, refuse_all
from replication.placement import BASE, Placement, TierFacts
from repository.errors import ConfigError

__all__ = ["BackupBase", "Disk", "ObjectStore", "PlacementPolicy", "Secret", "Settings", "Tier", "settings_as_plain"]

DatabaseUrl = Annotated[str, Field(pattern=r"^(sqlite|postgresql(\+psycopg)?)://")]
_SQLITE = "sqlite:///"
_URL_PASSWORD = re.compile(r"://[^/@]*:[^/@]+@|[?&]password=")
_URL_PORT = re.compile(r"://(?:[^/@]*@)?(?:\[[^]/]*\]|[^:/?]*)(?::(\d{1,5}))?(?:[/?]|$)")


class Institution(Section):
    """Whose records these are."""

    code: str = Field(pattern=r"^[A-Za-z0-9._-]{1,40}$", examples=["120000"])
    """The institution's code, as in its archive code or administrative division; letters, digits, `.`, `_`, `-`."""
    name: str = Field(min_length=1, max_length=200, examples=["天津市档案馆"])
    """The institution's name, in any script."""
    identifier_prefix: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9+.-]*:[A-Za-z0-9._~:/@!$&'()*+,;=%-]*[:/]$",
        examples=["urn:jindang:120000:"],
    )
    """What the URI of every object begins with; by default `urn:jindang:` and the code. Never change it later."""

    @property
    def prefix(self) -> str:
        """The prefix in force."""
        return self.identifier_prefix or f"urn:jindang:{self.code}:"


class Database(Section):
    """Where the catalogue is kept."""

    url: DatabaseUrl | None = Field(default=None, examples=["postgresql+psycopg://jindang@localhost/jindang"])
    """`sqlite:///PATH` or `postgresql+psycopg://USER@HOST/NAME`; by default SQLite, `catalogue.sqlite` in `data`."""
    password: Secret | None = None
    """The password for PostgreSQL, by reference."""

    @field_validator("url")
    @classmethod
    def _usable(cls, value: str | None, info: ValidationInfo) -> str | None:
        if not value:
            return value
        if value.startswith("sqlite:"):
            path = value.removeprefix(_SQLITE)
            if path in (value, "", ":memory:") or "?" in path:
                raise ValueError("a catalogue needs a file of its own: `sqlite:///PATH`")
            return f"{_SQLITE}{from_config_folder(Path(path), info)}"
        if _URL_PASSWORD.search(value):
            raise ValueError("a password may not stand in the URL; put a reference under `password`")
        if not _URL_PORT.search(value):
            raise ValueError(
                "the port is not a number, or the URL not of the form postgresql+psycopg://USER@HOST/NAME"
            )
        return value.replace("postgresql://", "postgresql+psycopg://", 1)


class PackageLimits(Section):
    """What a package may hold at most; a package over a limit is refused before anything is written."""

    max_files: int = Field(default=100_000, ge=1, le=5_000_000)
    """Files in one package."""
    max_bytes: Size = Field(default=ByteSize(2 << 40), ge=1)
    """Bytes in one package, unpacked; with a unit, as `2 TiB`."""
    max_archive_ratio: int = Field(default=200, ge=1, le=100_000)
    """How many times its own size an archive may unpack to."""
    max_depth: int = Field(default=64, ge=1, le=500)
    """Folders inside folders."""


class Ingest(Section):
    """How packages are taken in."""

    digest: Literal["sha512", "sha256"] = "sha512"
    """The digest algorithm of new objects; existing objects keep theirs."""
    allow_state_secrets: bool = False
    """Take in records of the classes 秘密, 机密 and 绝密, which are in principle not digitised."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """How many processes read and hash; by default one per processor."""
    reserve_bytes: Size = Field(default=ByteSize(1 << 30), ge=0)
    """Space that is left free on the primary tier: a package that would use it is refused."""
    limits: PackageLimits = PackageLimits()
    """Limits of a package."""


class Replication(Section):
    """How copies get to their tiers."""

    parallel: int = Field(default=4, ge=1, le=64)
    """How many versions are copied at once."""


class Settings(Section):
    """The whole configuration."""

    institution: Institution
    """Whose records these are."""
    data: ConfigPath = Field(default=Path("data"), validate_default=True)
    """The folder of the catalogue and the reports; relative to this file, or absolute."""
    database: Database = Database()
    """Where the catalogue is kept."""
    tiers: tuple[Tier, ...]
    """The places where copies live; the first is the primary tier, a disk, onto which packages are taken in."""
    base: BackupBase | None = None
    """The backup base: a borg repository, best at another site, which keeps points in time."""
    policies: tuple[PlacementPolicy, ...] = ()
    """Which objects get copies where; without a policy for it, an object gets one wherever it may lie."""
    replication: Replication = Replication()
    """How copies get to their tiers."""
    ingest: Ingest = Ingest()
    """How packages are taken in."""

    @field_validator("tiers")
    @classmethod
    def _apart(cls, tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
        refuse_all(list(problems_of_tiers(tiers)))
        return tiers

    @field_validator("base")
    @classmethod
    def _apart_from_tiers(cls, base: BackupBase | None, info: ValidationInfo) -> BackupBase | None:
        disks = [tier for tier in info.data.get("tiers", ()) if isinstance(tier, Disk)]
        if base is not None and (folder := base.path) is not None:
            near = (t for t in disks if folder.is_relative_to(t.path) or t.path.is_relative_to(folder))
            refuse_all(
                [(("repository",), f"the backup base and the tier {t.name!r} lie one inside the other") for t in near]
            )
        return base

    @field_validator("policies")
    @classmethod
    def _possible(cls, policies: tuple[PlacementPolicy, ...], info: ValidationInfo) -> tuple[PlacementPolicy, ...]:
        names = [policy.name for policy in policies]
        problems: list[tuple[tuple[int | str, ...], str]] = [
            ((number, "name"), f"two policies have the name {name!r}; each needs its own")
            for number, name in enumerate(names)
            if name in names[:number]
        ]
        if {"institution", "tiers", "base"} <= info.data.keys():  # each is there when it is right
            placement = _placement(policies, info.data["tiers"], info.data["base"], info.data["institution"])
            problems += [
                ((number,), f"the policy {name!r} {objection}")
                for number, name in enumerate(names)
                for objection in placement.objections_to(number)
            ]
        refuse_all(problems)
        return policies

    @property
    def primary(self) -> Disk:
        """The tier onto which packages are taken in."""
        return self.disks[0]

    @property
    def disks(self) -> tuple[Disk, ...]:
        """The tiers that are folders, the primary one first."""
        return tuple(tier for tier in self.tiers if isinstance(tier, Disk))

    @property
    def placement(self) -> Placement:
        """Which tiers an object belongs on."""
        return _placement(self.policies, self.tiers, self.base, self.institution)

    @property
    def database_url(self) -> str:
        """The database in force, without its password."""
        return self.database.url or f"sqlite:///{self.data / 'catalogue.sqlite'}"

    def tier(self, name: str) -> Tier:
        """The tier of that name; ConfigError when there is none."""
        for tier in self.tiers:
            if tier.name == name:
                return tier
        raise ConfigError(f"There is no tier {name!r}; the configuration has {', '.join(t.name for t in self.tiers)}")


def settings_as_plain(settings: Settings) -> dict[str, Any]:
    """The settings as plain values for YAML and JSON; secrets stay references."""
    return settings.model_dump(mode="json")


def _placement(
    policies: tuple[PlacementPolicy, ...], tiers: tuple[Tier, ...], base: BackupBase | None, institution: Institution
) -> Placement:
    facts = [_facts(tier, tier.name, institution, read_only=tier.read_only) for tier in tiers]
    facts += [_facts(base, BASE, institution)] if base is not None else []
    return Placement(policies=tuple(settings.policy for settings in policies), tiers=tuple(facts))


def _facts(place: Place, name: str, institution: Institution, *, read_only: bool = False) -> TierFacts:
    return TierFacts(
        name=name,
        site=place.site,
        medium=place.medium,
        zone=place.zone,
        operator=place.operator or institution.name,
        read_only=read_only,
    )
