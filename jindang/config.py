"""What an operator may write in `jindang.yaml`: the schema, its checks, and the frozen settings it becomes.

Descriptions stand here once; the sample file (`jindang init`), the reference page and `jindang config schema` are
made from them.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from repository.errors import ConfigError

TierName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
DatabaseUrl = Annotated[str, Field(pattern=r"^(sqlite|postgresql(\+psycopg)?)://")]
_SQLITE = "sqlite:///"
_URL_PASSWORD = re.compile(r"://[^/@]*:[^/@]+@|[?&]password=")
_URL_PORT = re.compile(r"://(?:[^/@]*@)?(?:\[[^]/]*\]|[^:/?]*)(?::(\d{1,5}))?(?:[/?]|$)")


def _without_spaces(value: object) -> object:
    """Let `2 TiB` pass as `2TiB`."""
    return value.replace(" ", "") if isinstance(value, str) else value


Size = Annotated[ByteSize, BeforeValidator(_without_spaces)]


def _from_config_folder(value: Path, info: ValidationInfo) -> Path:
    """Paths in the file are relative to the file's own folder."""
    folder = (info.context or {}).get("folder")
    try:
        return Path(os.path.normpath(folder / value.expanduser())) if folder else value
    except RuntimeError:
        raise ValueError(f"{str(value)!r} names the home folder of nobody here; write the whole path") from None


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Institution(_Section):
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


class Secret(_Section):
    """A secret by reference; exactly one of the three. A secret never stands in this file."""

    env: str | None = Field(default=None, examples=["JINDANG_DATABASE_PASSWORD"])
    """The name of an environment variable that holds it."""
    file: Path | None = Field(default=None, examples=["/etc/jindang/database-password"])
    """A file whose first line it is."""
    command: tuple[str, ...] | None = Field(default=None, examples=[["pass", "show", "jindang/database"]])
    """A program, with its arguments, that prints it."""

    _path = field_validator("file")(staticmethod(lambda v, info: v and _from_config_folder(v, info)))

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.env, self.file, self.command)) != 1:
            raise ValueError("give exactly one of env, file, command")
        return self


class Database(_Section):
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
            return f"{_SQLITE}{_from_config_folder(Path(path), info)}"
        if _URL_PASSWORD.search(value):
            raise ValueError("a password may not stand in the URL; put a reference under `password`")
        if not _URL_PORT.search(value):
            raise ValueError(
                "the port is not a number, or the URL not of the form postgresql+psycopg://USER@HOST/NAME"
            )
        return value.replace("postgresql://", "postgresql+psycopg://", 1)


class Tier(_Section):
    """One place where copies live."""

    name: TierName = Field(examples=["primary"])
    """A short name: lower-case letters, digits and `-`. It appears in every report; never change it later."""
    kind: Literal["disk"] = "disk"
    """`disk`: an OCFL 1.1 storage root in a folder."""
    path: Path = Field(examples=["primary"])
    """The folder; relative to this file, or absolute."""

    _path = field_validator("path")(staticmethod(_from_config_folder))


class PackageLimits(_Section):
    """What a package may hold at most; a package over a limit is refused before anything is written."""

    max_files: int = Field(default=100_000, ge=1, le=5_000_000)
    """Files in one package."""
    max_bytes: Size = Field(default=ByteSize(2 << 40), ge=1)
    """Bytes in one package, unpacked; with a unit, as `2 TiB`."""
    max_archive_ratio: int = Field(default=200, ge=1, le=100_000)
    """How many times its own size an archive may unpack to."""
    max_depth: int = Field(default=64, ge=1, le=500)
    """Folders inside folders."""


class Ingest(_Section):
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


class Settings(_Section):
    """The whole configuration."""

    institution: Institution
    """Whose records these are."""
    data: Path = Field(default=Path("data"), validate_default=True)
    """The folder of the catalogue and the reports; relative to this file, or absolute."""
    database: Database = Database()
    """Where the catalogue is kept."""
    tiers: tuple[Tier, ...]
    """The places where copies live; the first is the primary tier, onto which packages are taken in."""
    ingest: Ingest = Ingest()
    """How packages are taken in."""

    _path = field_validator("data")(staticmethod(_from_config_folder))

    @field_validator("tiers")
    @classmethod
    def _distinct(cls, tiers: tuple[Tier, ...]) -> tuple[Tier, ...]:
        if not tiers:
            raise ValueError("give at least one tier; the first is the primary one")
        for what, values in (("name", [t.name for t in tiers]), ("path", [str(t.path) for t in tiers])):
            for value in sorted({v for v in values if values.count(v) > 1}):
                raise ValueError(f"two tiers have the {what} {value!r}; each needs its own")
        nested = [(a, b) for a in tiers for b in tiers if a is not b and b.path.is_relative_to(a.path)]
        if nested:
            outer, inner = nested[0]
            raise ValueError(f"the tier {inner.name!r} lies inside the tier {outer.name!r}; keep them apart")
        return tiers

    @property
    def primary(self) -> Tier:
        """The tier onto which packages are taken in."""
        return self.tiers[0]

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
