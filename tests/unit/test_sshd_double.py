"""The ssh server that tests use: it is real, lets in nobody else, and is gone afterwards."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.doubles import sshd as double
from tests.doubles.sshd import (
    SshdMissingError,
    SshServer,
    authorized_line,
    find_sshd,
    make_key,
    require_sshd,
    ssh_server,
)

ROOT = Path(__file__).resolve().parents[2]


def call(server: SshServer, key: Path, *words: str) -> subprocess.CompletedProcess[str]:
    options = ["-oBatchMode=yes", "-oStrictHostKeyChecking=yes", f"-oUserKnownHostsFile={server.known_hosts}"]
    argv = ["ssh", *options, "-oIdentitiesOnly=yes", "-i", str(key), "-p", str(server.port)]
    login = server.login.rpartition(":")[0]
    return subprocess.run(
        [*argv, login, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def is_there(process_id: int) -> bool:
    status = Path(f"/proc/{process_id}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_a_key_runs_its_command_and_nothing_else_and_the_server_goes_with_a_failing_test(tmp_path: Path) -> None:
    require_sshd()
    key, stranger = make_key(tmp_path / "key"), make_key(tmp_path / "stranger")
    with (  # noqa: PT012
        pytest.raises(ZeroDivisionError),
        ssh_server(tmp_path / "sshd", [authorized_line(key, 'echo "only this"')]) as server,
    ):
        assert call(server, key, "cat", "/etc/passwd").stdout == "only this\n"
        assert "Permission denied" in call(server, stranger, "true").stderr
        raise ZeroDivisionError
    assert not is_there(server.process_id)


def test_it_ends_when_the_tests_are_killed(tmp_path: Path) -> None:
    require_sshd()
    note = tmp_path / "pid"
    program = (
        "import os, pathlib, signal\n"
        "from tests.doubles.sshd import ssh_server\n"
        f"with ssh_server(pathlib.Path({str(tmp_path / 'sshd')!r}), []) as server:\n"
        f"    pathlib.Path({str(note)!r}).write_text(str(server.process_id))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    process_id, deadline = int(note.read_text()), time.monotonic() + 20
    while is_there(process_id) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_there(process_id)


def test_the_missing_program_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(double.shutil, "which", lambda *_, **__: None)
    with pytest.raises(SshdMissingError, match="install the packages openssh-server"):
        find_sshd()


def test_without_it_a_test_is_skipped_here_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> str:
        raise SshdMissingError("not here")

    monkeypatch.setattr(double, "find_sshd", nothing)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="not here"):
        require_sshd()
    monkeypatch.setitem(os.environ, "CI", "true")
    with pytest.raises(SshdMissingError):
        require_sshd()
