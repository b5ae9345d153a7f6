"""A real OpenSSH server for tests and benchmarks: its own keys, a free port of loopback, gone at the end.

    with borg_over_ssh(folder) as base:    # `base.url` is an ssh:// repository that borg can use with `base.ssh_key`

Who logs in is whoever runs the tests, and only with keys whose line in `authorized_keys` forces a command.
"""

import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
_PRIVILEGE_SEPARATION = Path("/run/sshd")  # Debian's sshd wants it when root starts it


class SshdMissingError(Exception):
    """The server's program is not on this machine."""


class SshdFailedError(Exception):
    """The server did not start; the message has its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SshServer:
    """A server that runs.

    Args:
        port: on 127.0.0.1.
        known_hosts: a file with the server's host key, as ssh wants it.
        folder: where its files are; `authorized_keys` may be changed at any time.
        process_id: of the listening process.
    """

    port: int
    known_hosts: Path
    folder: Path
    process_id: int

    @property
    def login(self) -> str:
        """`user@127.0.0.1:port`."""
        return f"{_user()}@127.0.0.1:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SshBase:
    """A place for a borg repository behind a server.

    Args:
        server: the server.
        repository: where the repository is, or will be, on the server's side.
        ssh_key: may only append to that repository.
        maintenance_ssh_key: may do everything to that repository.
    """

    server: SshServer
    repository: Path
    ssh_key: Path
    maintenance_ssh_key: Path

    @property
    def url(self) -> str:
        """The repository as borg's client is told."""
        return f"ssh://{self.server.login}{self.repository}"


def find_sshd() -> str:
    """The server's program. Raises SshdMissingError when there is none."""
    found = shutil.which("sshd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))
    if found is None or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None:
        raise SshdMissingError(
            "OpenSSH's sshd, ssh and ssh-keygen were not found: install the packages openssh-server and "
            "openssh-client (scripts/bootstrap test does it)."
        )
    return found


def make_key(path: Path) -> Path:
    """Make a key pair without passphrase; the public half lies beside it, with `.pub`."""
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return path


def authorized_line(key: Path, command: str) -> str:
    """A line of `authorized_keys` that lets a key run one command and nothing else."""
    public = Path(f"{key}.pub").read_text(encoding="utf-8").strip()
    quoted = command.replace("\\", "\\\\").replace('"', '\\"')
    return f'command="{quoted}",restrict {public}\n'


def serve_command(repository: Path, *, append_only: bool = True, quota: str | None = None) -> str:
    """The command that a key is bound to."""
    borg = Path(sys.executable).parent / "borg"
    words = [str(borg), "serve", *(["--append-only"] if append_only else [])]
    words += ["--restrict-to-repository", str(repository), *(["--storage-quota", quota] if quota else [])]
    return f"BORG_EXIT_CODES=modern {shlex.join(words)}"


@contextmanager
def borg_over_ssh(folder: Path, *, quota: str | None = None) -> Iterator[SshBase]:
    """Run a server with one place for a repository, below an empty folder.

    Args:
        folder: where the keys, the server's files and the repository go.
        quota: what the place may take, as borg writes it (`50M`).

    Raises:
        SshdMissingError: there is no sshd.
        SshdFailedError: it did not start.
    """
    repository = folder / "base"
    append, maintain = make_key(folder / "append-key"), make_key(folder / "maintenance-key")
    lines = [
        authorized_line(append, serve_command(repository, quota=quota)),
        authorized_line(maintain, serve_command(repository, append_only=False, quota=quota)),
    ]
    with ssh_server(folder / "sshd", lines) as server:
        yield SshBase(server=server, repository=repository, ssh_key=append, maintenance_ssh_key=maintain)


@contextmanager
def ssh_server(folder: Path, authorized: Sequence[str]) -> Iterator[SshServer]:
    """Run a server as long as the context lasts. `authorized` are lines of `authorized_keys`."""
    program = find_sshd()
    folder.mkdir(mode=0o700)
    host_key = make_key(folder / "host-key")
    (folder / "authorized_keys").write_text("".join(authorized), encoding="utf-8")
    port = _free_port()
    public = Path(f"{host_key}.pub").read_text(encoding="utf-8").split()
    known_hosts = folder / "known_hosts"
    known_hosts.write_text(f"[127.0.0.1]:{port} {public[0]} {public[1]}\n", encoding="utf-8")
    (folder / "sshd_config").write_text(_settings(folder, host_key, port), encoding="utf-8")
    if os.geteuid() == 0:
        _PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
    with _running(program, folder, port) as process_id:
        yield SshServer(port=port, known_hosts=known_hosts, folder=folder, process_id=process_id)


@pytest.fixture
def ssh_base(tmp_path: Path) -> Iterator[SshBase]:
    """A place for a repository behind a server; without sshd a visible skip, in CI an error."""
    require_sshd()
    folder = tmp_path / "site"
    folder.mkdir()
    with borg_over_ssh(folder) as base:
        yield base


def require_sshd() -> None:
    """Skip the test where there is no sshd; in CI, where there must be one, fail."""
    try:
        find_sshd()
    except SshdMissingError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


def _settings(folder: Path, host_key: Path, port: int) -> str:
    return "\n".join(
        [
            f"Port {port}",
            "ListenAddress 127.0.0.1",
            f'HostKey "{host_key}"',
            "PidFile none",
            f'AuthorizedKeysFile "{folder / "authorized_keys"}"',
            "StrictModes no",  # temporary folders lie below /tmp, which everybody may write to
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "UsePAM no",
            "PermitRootLogin forced-commands-only",
            f"AllowUsers {_user()}",
            "PrintMotd no",
            "ClientAliveInterval 10",
            "ClientAliveCountMax 30",
            "",
        ]
    )


def _user() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(program: str, folder: Path, port: int) -> Iterator[int]:
    """On Linux the server ends when we are killed."""
    setpriv = shutil.which("setpriv")
    argv = [program, "-D", "-e", "-f", str(folder / "sshd_config")]
    log = folder / "log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [setpriv, "--pdeathsig", "TERM", *argv] if setpriv else argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(server, port, log)
        yield server.pid
    finally:
        _stop(server)


def _wait_until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                if connection.recv(4) == b"SSH-":
                    return
        except OSError:
            pass
        if server.poll() is not None or time.monotonic() > deadline:
            raise SshdFailedError(f"sshd did not start:\n{log.read_text(errors='replace')}")
        time.sleep(0.02)


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Sessions that are still open end by themselves, when their client goes."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if server.poll() is None:
            server.send_signal(number)
        try:
            server.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            continue
        return
