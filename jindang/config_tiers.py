"""The tiers in `jindang.yaml`: what each kind of place for copies takes, and how they must keep apart."""

from collections.abc import Iterator
from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, field_validator, model_validator

from jindang.config_values import ConfigPath, Name, Secret, Section, ShortText, Size
from replication.placement import BASE, Zone

AgeRecipient = Annotated[str, Field(pattern=r"^age1[02-9ac-hj-np-z]{58}$")]


class Place(Section):
    """Where copies lie, and who looks after them; policies count sites and media."""

    site: ShortText = "main"
    """Where it stands. What has the same text here can be lost in the same fire."""
    medium: ShortText = "disk"
    """What it stores on, as `hdd`, `ssd`, `tape` or `cloud`."""
    zone: Zone = Zone.ISOLATED
    """The network it lies in. Only what anybody may see (公开 and 开放) is ever put in the zone `public`."""
    operator: ShortText | None = Field(default=None, examples=["天津市大数据管理中心"])
    """Who runs it; by default the institution itself."""
    bandwidth: Size | None = Field(default=None, ge=1, examples=["50 MiB"])
    """Bytes a second that may go to it and come from it at most; by default as many as the line carries."""


class _Tier(Place):
    name: Name = Field(examples=["primary"])
    """A short name: lower-case letters, digits and `-`. It appears in every report; never change it later."""
    read_only: bool = False
    """Nothing new is put there; what lies there is still read."""


class Disk(_Tier):
    """A disk: an OCFL 1.1 storage root in a folder."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "second", "kind": "disk", "path": "/mnt/second/jindang", "site": "east", "medium": "hdd"}
            ]
        }
    )
    kind: Literal["disk"] = "disk"
    """What it is made of; `disk`: an OCFL 1.1 storage root in a folder."""
    path: ConfigPath = Field(examples=["primary"])
    """The folder; relative to this file, or absolute."""

    @property
    def where(self) -> str:
        """For people to read."""
        return str(self.path)


class ObjectLock(Section):
    """How the store keeps versions from being deleted; the bucket must have been made with object lock."""

    mode: Literal["governance", "compliance"] = "governance"
    """`governance`: people with a special right can still delete; `compliance`: nobody can, not even the provider."""
    days: int = Field(ge=1, le=36_500, examples=[3650])
    """How long a version is locked from the day on which it is put there."""
    confirm: str | None = Field(default=None, examples=["nobody can delete for 3650 days"])
    """Only for `compliance`: the sentence `nobody can delete for DAYS days`, with the days; there is no way back."""

    @model_validator(mode="after")
    def _confirmed(self) -> Self:
        sentence = f"nobody can delete for {self.days} days"
        if self.mode == "compliance" and self.confirm != sentence:
            raise ValueError(
                f"what is locked with `compliance` can be deleted by nobody for {self.days} days and is paid for as "
                f'long; if that is what you want, confirm it with `confirm: "{sentence}"`'
            )
        return self


class ObjectStore(_Tier):
    """An object store: packs in a bucket of a store that speaks S3, as Ceph, MinIO or a cloud."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "store",
                    "kind": "object-store",
                    "endpoint": "https://s3.example.org",
                    "bucket": "jindang",
                    "site": "government cloud",
                    "medium": "cloud",
                    "zone": "government",
                    "access_key": {"file": "/etc/jindang/store-access-key"},
                    "secret_key": {"file": "/etc/jindang/store-secret-key"},
                }
            ]
        }
    )
    kind: Literal["object-store"]
    """What it is made of; `object-store`: packs in a bucket of a store that speaks S3."""
    endpoint: str | None = Field(default=None, pattern=r"^https?://[^/@?#\s]+/?$", examples=["https://s3.example.org"])
    """The store's address, `https://HOST` or `https://HOST:PORT`; by default that of AWS."""
    bucket: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", examples=["jindang"])
    """The bucket, which must be there: 3 to 63 lower-case letters, digits, `.` and `-`."""
    prefix: str = Field(default="", pattern=r"^([A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*/?)?$")
    """What every key begins with, as a folder: letters, digits, `.`, `_`, `-`, with `/` between."""
    region: str = Field(default="us-east-1", pattern=r"^[A-Za-z0-9_-]{1,60}$")
    """The region that requests are signed for."""
    access_key: Secret = Field(examples=[{"file": "/etc/jindang/store-access-key"}])
    """The access key (the user's name at the store), by reference."""
    secret_key: Secret = Field(examples=[{"file": "/etc/jindang/store-secret-key"}])
    """The secret key, by reference."""
    ca_file: ConfigPath | None = Field(default=None, examples=["/etc/jindang/store-ca.pem"])
    """Certificates that the store's own is checked with; by default those of the system."""
    path_style: bool = True
    """Name the bucket in the path of an address and not in the name of the host; Ceph and MinIO need it."""
    lock: ObjectLock | None = None
    """Lock what is put there against deletion, by whomever; without it nothing is locked."""
    recipients: tuple[AgeRecipient, ...] = Field(
        default=(), examples=[["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]]
    )
    """age recipients (`age1...`) everything is encrypted to before it leaves; without any, nothing is encrypted."""
    identity: Secret | None = Field(default=None, examples=[{"file": "/etc/jindang/age-identity"}])
    """The age identity that reads what is encrypted, by reference: a file, or more lines, as age-keygen writes it."""
    parallel: int = Field(default=8, ge=1, le=64)
    """How many transfers run at once."""

    @field_validator("endpoint", "prefix")
    @classmethod
    def _without_last_slash(cls, value: str | None) -> str | None:
        return value and value.rstrip("/")

    @model_validator(mode="after")
    def _identity_of_something(self) -> Self:
        if self.identity is not None and not self.recipients:
            raise ValueError("`identity` reads what is encrypted, but nothing is: name `recipients` too")
        return self

    @property
    def where(self) -> str:
        """For people to read."""
        return f"{self.endpoint or 'https://s3.amazonaws.com'}/{self.bucket}/{self.prefix}".rstrip("/")

    def shares_keys(self, other: "ObjectStore") -> bool:
        """Whether keys of the other one lie among ours, or are ours."""
        same_bucket = (self.endpoint, self.bucket) == (other.endpoint, other.bucket)
        return same_bucket and f"{other.prefix}/".startswith(f"{self.prefix}/" if self.prefix else "")


def _disk_by_default(value: object) -> object:
    """A tier that does not say its kind is a disk."""
    return {"kind": "disk", **value} if isinstance(value, dict) else value


Tier = Annotated[Disk | ObjectStore, Field(discriminator="kind"), BeforeValidator(_disk_by_default)]
Problem = tuple[tuple[int | str, ...], str]
"""Where in the list, and what is wrong."""


def problems_of_tiers(tiers: tuple[Tier, ...]) -> Iterator[Problem]:
    """Everything that is wrong with the tiers together."""
    if not tiers:
        yield (), "give at least one tier; the first is the primary one"
        return
    yield from _problems_of_primary(tiers[0])
    for number, tier in enumerate(tiers):
        if tier.name == BASE:
            yield (
                (number, "name"),
                "no tier may be called 'base': that is the backup base, which has settings of its own",
            )
    for (_, first), (number, second) in combinations(enumerate(tiers), 2):
        if first.name == second.name:
            yield (number, "name"), f"two tiers have the name {first.name!r}; each needs its own"
        match first, second:
            case Disk(), Disk():
                yield from ((((number, "path"), text)) for text in _too_near_disks(first, second))
            case ObjectStore(), ObjectStore() if first.shares_keys(second) or second.shares_keys(first):
                text = f"the tiers {first.name!r} and {second.name!r} lie in the same bucket, one inside the other; "
                yield (number, "bucket"), f"{text}give each a bucket or a prefix of its own"


def _problems_of_primary(primary: Tier) -> Iterator[Problem]:
    if not isinstance(primary, Disk):
        yield (0, "kind"), "the first tier is the primary one, onto which packages are taken in; it must be a disk"
    if primary.read_only:
        yield (0, "read_only"), "the first tier cannot be read-only: packages are taken in onto it"
    if primary.zone is Zone.PUBLIC:
        yield (0, "zone"), "the first tier cannot lie in the zone `public`: every record is taken in onto it"


def _too_near_disks(first: Disk, second: Disk) -> Iterator[str]:
    if first.path == second.path:
        yield f"two tiers have the path {str(first.path)!r}; each needs its own"
        return
    for inner, outer in ((first, second), (second, first)):
        if inner.path.is_relative_to(outer.path):
            yield f"the tier {inner.name!r} lies inside the tier {outer.name!r}; keep them apart"
