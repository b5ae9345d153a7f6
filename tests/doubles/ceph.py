"""A real Ceph for tests and benchmarks: one node with an S3 gateway, in a temporary folder, gone at the end.

In a test, through the fixture (`from tests.doubles.ceph import ceph` in a conftest):

    def test_something(ceph: CephServer) -> None: ...   # endpoints for HTTP and HTTPS, and the keys of a user

Elsewhere: `with ceph_server() as ceph: ...`. The workers of one pytest-xdist run share a server: whoever asks first
starts it, and stops it when the last of the others has left.
"""

import fcntl
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError

import pytest

PROGRAMS = ("ceph-mon", "ceph-mgr", "ceph-osd", "radosgw", "ceph", "monmaptool", "radosgw-admin", "openssl")
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 15.0
_PARENT, _PREFIX, _OWNER = Path("/tmp"), "ceph-", "owner"  # a socket's path has room for 107 bytes
DEVICE_BYTES = 8 << 30  # a sparse file: it takes what is written into it


class CephMissingError(Exception):
    """The server's programs are not on this machine."""


class CephFailedError(Exception):
    """The server could not be made or started; the message has the output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CephServer:
    """A running server. The certificate behind `https` is signed by the authority in `ca_file`, known to nobody."""

    http: str
    https: str
    ca_file: str
    access_key: str
    secret_key: str
    folder: str

    def quota(self, bucket: str, *, max_size_bytes: int) -> None:
        """Let a bucket hold so much and no more."""
        names = ["--quota-scope=bucket", f"--bucket={bucket}"]
        _run(Path(self.folder), "radosgw-admin", "quota", "set", *names, f"--max-size={max_size_bytes}B")
        _run(Path(self.folder), "radosgw-admin", "quota", "enable", *names)


def find_programs() -> None:
    """Look whether everything is here.

    Raises:
        CephMissingError: it is not.
    """
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        raise CephMissingError(
            f"Ceph's {', '.join(missing)} were not found on PATH: install the packages ceph-mon, ceph-mgr, ceph-osd, "
            "radosgw, ceph-common and openssl (scripts/bootstrap test does it)."
        )


@contextmanager
def ceph_server() -> Iterator[CephServer]:
    """Run an empty server as long as the context lasts. It starts in about 10 s and takes about 1 GB of memory.

    Raises:
        CephMissingError: its programs are not here.
        CephFailedError: it did not start.
    """
    find_programs()
    remove_folders_of_the_dead(_PARENT)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_PARENT))
    (folder / _OWNER).write_text(_identity_of_process(os.getpid()))
    try:
        with ExitStack() as daemons:
            yield _start(folder, daemons)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_folders_of_the_dead(parent: Path) -> None:
    """Remove what servers left behind whose owner was killed; known by the owner's note, and by nothing else."""
    for note in parent.glob(f"{_PREFIX}*/{_OWNER}"):
        with suppress(OSError, ValueError, IndexError):
            owner = note.read_text()
            if owner != _identity_of_process(int(owner.split()[0])):
                shutil.rmtree(note.parent, ignore_errors=True)


def _identity_of_process(pid: int) -> str:
    """The number and the moment of the start: a number alone is given to another process some day."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return f"{pid} ended"
    return f"{pid} {fields[19]}"


@pytest.fixture(scope="session")
def ceph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CephServer]:
    """A server for the whole session; without Ceph a visible skip, in CI an error."""
    try:
        find_programs()
    except CephMissingError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    if "PYTEST_XDIST_WORKER" not in os.environ:
        with ceph_server() as server:
            yield server
    else:
        with shared_server(tmp_path_factory.getbasetemp().parent) as server:
            yield server


@contextmanager
def shared_server(folder: Path) -> Iterator[CephServer]:
    """The server that all processes with this folder share; the one that started it leaves last."""
    note = folder / "ceph.json"
    with ExitStack() as leaving:
        with _locked(folder / "ceph.turn", fcntl.LOCK_EX):
            if note.exists() and _answers((server := CephServer(**json.loads(note.read_text()))).http):
                leaving.enter_context(_locked(folder / "ceph.users", fcntl.LOCK_SH))
            else:
                server = leaving.enter_context(ceph_server())
                leaving.callback(_wait_for_the_others, folder)
                note.write_text(json.dumps(asdict(server)))
        yield server


def _wait_for_the_others(folder: Path) -> None:
    while True:
        with _locked(folder / "ceph.turn", fcntl.LOCK_EX), suppress(BlockingIOError):
            with _locked(folder / "ceph.users", fcntl.LOCK_EX | fcntl.LOCK_NB):
                (folder / "ceph.json").unlink()
            return
        time.sleep(0.2)


@contextmanager
def _locked(path: Path, kind: int) -> Iterator[None]:
    with path.open("wb") as file:
        fcntl.flock(file, kind)
        yield


def _start(folder: Path, daemons: ExitStack) -> CephServer:
    monitor_port, http_port, https_port = _free_ports(3)
    server = CephServer(
        http=f"http://127.0.0.1:{http_port}",
        https=f"https://127.0.0.1:{https_port}",
        ca_file=str(folder / "ca.pem"),
        access_key="JINDANGTEST",
        secret_key=uuid.uuid4().hex,
        folder=str(folder),
    )
    _make_certificates(folder)
    fsid = str(uuid.uuid4())
    (folder / "ceph.conf").write_text(
        _CONFIGURATION.format(
            fsid=fsid,
            folder=folder,
            monitor=f"127.0.0.1:{monitor_port}",
            http=f"127.0.0.1:{http_port}",
            https=f"127.0.0.1:{https_port}",
            device_bytes=DEVICE_BYTES,
        )
    )
    for name in ("mon", "mgr", "osd"):
        (folder / name).mkdir()
    monmap = ["--clobber", "--create", "--fsid", fsid, "--addv", "a", f"[v1:127.0.0.1:{monitor_port}]"]
    _run(folder, "monmaptool", *monmap, str(folder / "monmap"))
    _run(folder, "ceph-mon", "--mkfs", "-i", "a", "--monmap", str(folder / "monmap"))
    _daemon(folder, daemons, "ceph-mon", "-i", "a")
    _daemon(folder, daemons, "ceph-mgr", "-i", "a")
    device = str(uuid.uuid4())
    _run(folder, "ceph", "osd", "new", device, timeout_s=START_TIMEOUT_S)
    _run(folder, "ceph-osd", "--mkfs", "-i", "0", "--osd-uuid", device)
    _start_storage(folder, daemons)
    gateway = _daemon(folder, daemons, "radosgw", "-n", "client.gateway")
    user = ["--uid=jindang", "--display-name=Jindang", "--max-buckets=0"]
    _run(
        folder,
        "radosgw-admin",
        "user",
        "create",
        *user,
        f"--access-key={server.access_key}",
        f"--secret-key={server.secret_key}",
        timeout_s=START_TIMEOUT_S,
    )
    _wait_until_ready(server, gateway, folder)
    return server


def _start_storage(folder: Path, daemons: ExitStack) -> None:
    """Start the daemon that stores; one that asks the monitor too early is refused ("wrong fsid"), and ends."""
    log, deadline = folder / "ceph-osd.0.log", time.monotonic() + START_TIMEOUT_S
    process = _daemon(folder, daemons, "ceph-osd", "-i", "0")
    while "done with init" not in log.read_text(errors="replace"):
        if time.monotonic() > deadline:
            raise CephFailedError(f"ceph-osd did not start\n{_logs(folder)}")
        if process.poll() is not None:
            process = _daemon(folder, daemons, "ceph-osd", "-i", "0")
        time.sleep(0.1)


def _make_certificates(folder: Path) -> None:
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
    authority = ["-keyout", folder / "ca.key", "-out", folder / "ca.pem", "-subj", "/CN=Jindang test authority"]
    _openssl("req", "-x509", *new_key, *authority, "-addext", "keyUsage=keyCertSign,cRLSign")
    _openssl(
        "req", "-x509", *new_key, "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
        "-keyout", folder / "server.key", "-out", folder / "server.pem", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE",
    )  # fmt: skip
    both = (folder / "server.key").read_text() + (folder / "server.pem").read_text()
    (folder / "gateway.pem").write_text(both)


def _openssl(*words: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CephFailedError(f"openssl failed:\n{done.stderr}")


def _run(folder: Path, *words: str, timeout_s: float = 60.0) -> None:
    argv = [words[0], "-c", str(folder / "ceph.conf"), *words[1:]]
    if words[0] == "monmaptool":
        argv = list(words)
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise CephFailedError(f"{' '.join(argv)} did not end within {timeout_s:.0f} s\n{_logs(folder)}") from error
    if done.returncode != 0:
        raise CephFailedError(f"{' '.join(argv)} failed:\n{done.stdout}{done.stderr}\n{_logs(folder)}")


def _daemon(folder: Path, daemons: ExitStack, *words: str) -> subprocess.Popen[bytes]:
    """Start a daemon in the foreground, so that its process is ours to end; on Linux it ends when we are killed."""
    setpriv = shutil.which("setpriv")
    with_us = [setpriv, "--pdeathsig", "KILL"] if setpriv else []
    with (folder / f"{words[0]}.out").open("wb") as output:
        process = subprocess.Popen(
            [*with_us, words[0], "-f", "-c", str(folder / "ceph.conf"), *words[1:]],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # an interrupt at the terminal is for the tests; they stop the server
        )
    daemons.callback(_stop, process)
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Nothing in it is wanted again, so it need not put its house in order."""
    process.kill()
    process.wait(STOP_TIMEOUT_S)


def _wait_until_ready(server: CephServer, gateway: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while not (_answers(server.http) and _answers(server.https, ca_file=server.ca_file)):
        if gateway.poll() is not None or time.monotonic() > deadline:
            raise CephFailedError(f"The gateway of Ceph did not start\n{_logs(folder)}")
        time.sleep(0.1)


def _answers(endpoint: str, *, ca_file: str | None = None) -> bool:
    context = ssl.create_default_context(cafile=ca_file) if ca_file else None
    try:
        with urllib.request.urlopen(endpoint, timeout=5, context=context):
            return True
    except HTTPError:
        return True
    except (URLError, OSError):
        return False


def _logs(folder: Path) -> str:
    return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}" for path in folder.glob("*.out"))


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


_CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = v1:{monitor}
auth cluster required = none
auth service required = none
auth client required = none
public addr = 127.0.0.1
ms bind msgr2 = false
ms bind ipv6 = false
# Reading is leased for 0.8 of this; on a machine that stands still for longer, a pool of one copy hangs for ever.
osd heartbeat grace = 3600
mon osd report timeout = 7200
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
run dir = {folder}
admin socket = {folder}/$cluster-$name.sock
log file = {folder}/$cluster-$name.log
pid file =
log to stderr = false
keyring = {folder}/keyring
debug ms = 0

[mon]
mon data = {folder}/mon
mon data avail warn = 1
mon data avail crit = 0

[mgr]
mgr data = {folder}/mgr
mgr initial modules =
mgr disabled modules = influx zabbix telegraf rbd_support selftest snap_schedule test_orchestrator telemetry nfs

[osd]
osd class update on start = false
osd data = {folder}/osd
osd objectstore = bluestore
osd memory target = 1073741824
bluestore block create = true
bluestore block size = {device_bytes}
bluestore fsck on mount = false

[client]
rgw frontends = beast endpoint={http} ssl_endpoint={https} ssl_certificate={folder}/gateway.pem
rgw enable usage log = false
rgw enable ops log = false
"""
