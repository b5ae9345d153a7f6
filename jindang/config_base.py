"""The backup base in `jindang.yaml`: a borg repository at another place, which keeps points in time."""

import re
from pathlib import Path
from typing import Self

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from jindang.config_tiers import Place
from jindang.config_values import ConfigPath, Secret, Section, from_config_folder
from replication.placement import Zone

_SSH = "ssh://"
_SSH_ADDRESS = re.compile(r"ssh://([^/@:\s]+@)?([^/@:\[\]\s]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?/\S(.*\S)?")


class Keep(Section):
    """How many archives of the catalogue are kept; what objects they need is kept in any case."""

    daily: int = Field(default=14, ge=0, le=10_000)
    """The newest of each of the last so many days."""
    weekly: int = Field(default=8, ge=0, le=10_000)
    """The newest of each of the last so many weeks."""
    monthly: int = Field(default=24, ge=0, le=10_000)
    """The newest of each of the last so many months."""
    yearly: int = Field(default=100, ge=0, le=10_000)
    """The newest of each of the last so many years."""

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not any((self.daily, self.weekly, self.monthly, self.yearly)):
            raise ValueError("at least one of daily, weekly, monthly, yearly must be above 0, or nothing is kept")
        return self


class BackupBase(Place):
    """The backup base."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "repository": "ssh://jindang@base.example.org/srv/jindang",
                    "passphrase": {"file": "/etc/jindang/base-passphrase"},
                    "site": "the other city",
                    "medium": "hdd",
                }
            ]
        }
    )
    repository: str = Field(min_length=1, examples=["ssh://jindang@base.example.org/srv/jindang"])
    """The borg repository: `ssh://USER@HOST:PORT/PATH`, or a folder, relative to this file or absolute."""
    passphrase: Secret = Field(examples=[{"file": "/etc/jindang/base-passphrase"}])
    """The passphrase of the repository's key, by reference."""
    ssh_key: ConfigPath | None = Field(default=None, examples=["/etc/jindang/base-ssh-key"])
    """The private key that logs in at the base and may only add; by default those of the user."""
    maintenance_ssh_key: ConfigPath | None = Field(default=None, examples=["/etc/jindang/base-maintenance-ssh-key"])
    """The private key that may also delete old archives and give their space back; without it nobody does so here."""
    known_hosts: ConfigPath | None = Field(default=None, examples=["/etc/jindang/known_hosts"])
    """The file with the base's host key; by default those of the user. An unknown host is never trusted."""
    remote_path: str | None = Field(default=None, pattern=r"^\S(.*\S)?$", examples=["/usr/local/bin/borg"])
    """The borg program at the base, where it is not found by itself."""
    lock_wait_s: int = Field(default=600, ge=1, le=86_400)
    """Seconds to wait while another program works on the repository."""
    keep: Keep = Keep()
    """How many archives of the catalogue are kept."""

    @field_validator("repository")
    @classmethod
    def _address(cls, value: str, info: ValidationInfo) -> str:
        if value.startswith(_SSH) and _SSH_ADDRESS.fullmatch(value):
            return value
        if value.startswith(_SSH) or "://" in value or re.match(r"[^/]*@[^/]*:", value):
            raise ValueError(
                "give the repository as ssh://USER@HOST:PORT/PATH, or as a folder; a password may not stand in it"
            )
        return str(from_config_folder(Path(value), info))

    @field_validator("zone")
    @classmethod
    def _not_public(cls, value: Zone) -> Zone:
        if value is Zone.PUBLIC:
            raise ValueError(
                "the backup base holds everything, also what is not public; it cannot lie in the zone `public`"
            )
        return value

    @model_validator(mode="after")
    def _two_keys(self) -> Self:
        if self.maintenance_ssh_key is not None and self.maintenance_ssh_key == self.ssh_key:
            raise ValueError("maintenance_ssh_key must not be ssh_key: what adds archives must not be able to delete")
        return self

    @property
    def path(self) -> Path | None:
        """The repository's folder; None when it is on another machine."""
        return None if self.repository.startswith(_SSH) else Path(self.repository)
