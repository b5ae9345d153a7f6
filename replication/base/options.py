"""Where the backup base is, and with which keys it is reached."""

from dataclasses import dataclass, field
from pathlib import Path

from repository.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseOptions:
    """What is needed to use one borg repository.

    Args:
        repository: `ssh://user@host[:port]/path`, or an absolute path on this machine.
        passphrase: of the repository's key; handed to borg through a pipe, so it never stands in a list of processes.
        state_folder: borg's cache and its memory of what it saw last, on this machine; also short-lived files of ours.
        host_id: names this machine for ever, so that locks of its dead processes are known as such.
        ssh_key: private key of the daily work; on the base it is bound to `borg serve --append-only`.
        maintenance_ssh_key: private key that may free space; not kept on this machine from day to day.
        known_hosts: file with the host key of the base's machine; None uses the user's own.
        remote_path: the borg program on the base, where no forced command names it.
        bandwidth_bps: bytes a second at most on the way to the base; None for no limit.
        lock_wait_s: how long to wait for somebody else who works on the base.

    Raises:
        ConfigError: the repository is neither of the two.
    """

    repository: str
    passphrase: str = field(repr=False)
    state_folder: Path
    host_id: str
    ssh_key: Path | None = None
    maintenance_ssh_key: Path | None = None
    known_hosts: Path | None = None
    remote_path: str | None = None
    bandwidth_bps: int | None = None
    lock_wait_s: int = 600

    def __post_init__(self) -> None:
        """Refuse what borg would read as something else."""
        if not self.repository.startswith(("ssh://", "/")) or "{" in self.repository or "::" in self.repository:
            raise ConfigError(
                "This is not the place of a backup base",
                where=self.repository,
                next_step="write ssh://user@host/absolute/path, or an absolute path, without { } and ::",
            )

    @property
    def is_remote(self) -> bool:
        """Whether it is reached over ssh."""
        return self.repository.startswith("ssh://")
