"""The borg program: what it is called with, how it is run, and what it wrote.

Pure functions build the argument list and the environment; `run_borg` is the only one that starts a process.
What the exit codes mean stands in `base_errors`.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO
from urllib.parse import urlsplit

from replication.base.options import BaseOptions
from repository.errors import ConfigError
from repository.stop import StopToken

SAVE_TIMEOUT_S = 60.0
"""SIGINT lets borg save what it has sent as a checkpoint, which takes a while; SIGTERM throws it away."""

END_TIMEOUT_S = 10.0

CONNECTION_LOST = frozenset({80, 81, 87})
"""Exit codes of borg when what is behind ssh does not answer, or no more."""

_SSH_FAILED = 255
_KEPT_LINES = 1000
_KEPT_CHARACTERS = 2000
_SEVERE = frozenset({"ERROR", "CRITICAL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One message of borg's log; `msgid` is the stable name of what it is about, empty where it has none."""

    level: str
    message: str
    name: str = ""
    msgid: str = ""

    @property
    def is_error(self) -> bool:
        """Whether borg calls it an error."""
        return self.level in _SEVERE

    @property
    def is_trouble(self) -> bool:
        """Whether borg calls it an error or a warning."""
        return self.is_error or self.level == "WARNING"


@dataclass(slots=True, kw_only=True)
class Outcome:
    """How a call of borg ended.

    Args:
        exit_code: of the process; negative when a signal ended it.
        log: the first messages, at most 1,000; long ones are shortened.
        output: what it wrote to stdout, unless that was taken line by line.
    """

    exit_code: int = -1
    log: list[LogLine] = field(default_factory=list)
    output: bytes = b""

    @property
    def is_ok(self) -> bool:
        """Whether it did everything that it was asked to."""
        return self.exit_code == 0


def borg_program() -> str:
    """The borg that was installed with us, else the first on PATH. Raises ConfigError when there is none."""
    beside = Path(sys.executable).parent / "borg"
    found = str(beside) if beside.exists() else shutil.which("borg")
    if found is None:
        raise ConfigError(
            "The program borg is not on this machine",
            next_step="install the package borgbackup (1.4 or later) into Jindang's environment",
        )
    return found


def borg_argv(options: BaseOptions, command: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """The argument list: `command` is `["create"]` or `["key", "export"]`, `arguments` its own options and names."""
    common = ["--log-json", "--lock-wait", str(options.lock_wait_s)]
    if options.is_remote and options.remote_path is not None:
        common += ["--remote-path", options.remote_path]
    if options.is_remote and options.bandwidth_bps is not None:
        common += ["--upload-ratelimit", str(max(1, options.bandwidth_bps // 1024))]
    return [borg_program(), *command, *common, *arguments]


def borg_environment(
    options: BaseOptions, *, passphrase_fd: int, ssh_key: Path | None, inherited: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment: nothing of the caller's own settings for borg gets through.

    Args:
        options: of the base.
        passphrase_fd: an open pipe that has the passphrase in it.
        ssh_key: the identity to show.
        inherited: where PATH, HOME and TMPDIR are taken from.
    """
    kept = {name: inherited[name] for name in ("PATH", "HOME", "TMPDIR") if name in inherited}
    return {
        **kept,
        "BORG_EXIT_CODES": "modern",
        "BORG_BASE_DIR": str(options.state_folder),
        "BORG_PASSPHRASE_FD": str(passphrase_fd),
        "BORG_DISPLAY_PASSPHRASE": "no",
        "BORG_HOST_ID": options.host_id,
        "BORG_RSH": ssh_command(options, ssh_key),
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "no",
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "no",
        "BORG_USE_CHUNKS_ARCHIVE": "no",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }


def ssh_command(options: BaseOptions, ssh_key: Path | None) -> str:
    """How ssh is called: it never asks, knows the base's host key beforehand, and notices a dead connection."""
    settings = {
        "BatchMode": "yes",
        "ConnectTimeout": "30",
        "ServerAliveInterval": "10",
        "ServerAliveCountMax": "30",
        "StrictHostKeyChecking": "yes",
    }
    if options.known_hosts is not None:
        settings |= {"UserKnownHostsFile": f'"{options.known_hosts}"', "GlobalKnownHostsFile": "none"}
    words = ["ssh", *(f"-o{name}={value}" for name, value in settings.items())]
    if ssh_key is not None:
        words += ["-oIdentitiesOnly=yes", "-i", str(ssh_key)]
    return shlex.join(words)


def run_borg(
    options: BaseOptions,
    command: Sequence[str],
    *arguments: str,
    stop: StopToken,
    ssh_key: Path | None = None,
    folder: Path | None = None,
    stdin: BinaryIO | None = None,
    on_line: Callable[[bytes], object] | None = None,
) -> Outcome:
    """Run borg to its end. An exit code is not judged here.

    Args:
        options: of the base.
        command: borg's command, one word or two.
        arguments: its options and names, after the common ones.
        stop: when set, borg is asked to save what it has (SIGINT), and ended by force if it does not end.
        ssh_key: the identity to show; None takes that of the daily work.
        folder: where it runs; relative paths begin there.
        stdin: a file that it reads; nothing otherwise, and never a terminal.
        on_line: takes each line of stdout as it comes; what it raises ends borg and is raised here.

    Raises:
        ConfigError: there is no borg.
        OperationCancelledError: stop was set, and borg did not finish.
    """
    stop.check()
    options.state_folder.mkdir(parents=True, exist_ok=True)
    argv = borg_argv(options, command, arguments)
    outcome = Outcome()
    with _started(options, argv, ssh_key=ssh_key or options.ssh_key, folder=folder, stdin=stdin) as process:
        assert process.stdout is not None  # noqa: S101 - asked for below
        assert process.stderr is not None  # noqa: S101
        helpers = [
            threading.Thread(target=_read_log, args=(process.stderr, outcome.log), daemon=True),
            threading.Thread(target=_end_when_stopped, args=(process, stop), daemon=True),
        ]
        for helper in helpers:
            helper.start()
        try:
            if on_line is None:
                outcome.output = process.stdout.read()
            else:
                for line in process.stdout:
                    on_line(line)
        except BaseException:
            process.stdout.close()  # nobody reads any more: borg must not wait for us
            process.terminate()
            raise
        finally:
            process.wait()
            for helper in helpers:
                helper.join()
    outcome.exit_code = process.returncode
    if not outcome.is_ok:
        stop.check()
    if options.is_remote and outcome.exit_code in CONNECTION_LOST:
        outcome.log += ask_ssh(options, ssh_key or options.ssh_key)
    return outcome


def ask_ssh(options: BaseOptions, ssh_key: Path | None) -> list[LogLine]:
    """Call ssh alone, and return what it complains of.

    borg does not wait for that: whether it tells the reason of a lost connection is a matter of chance.
    """
    place = urlsplit(options.repository)
    port = [] if place.port is None else ["-p", str(place.port)]
    login = place.hostname or "" if place.username is None else f"{place.username}@{place.hostname}"
    argv = [*shlex.split(ssh_command(options, ssh_key)), *port, "--", login, "true"]
    try:
        asked = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=SAVE_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return [LogLine(level="WARNING", message="ssh gave no answer")]
    except FileNotFoundError:
        return [LogLine(level="WARNING", message="the program ssh is not on this machine")]
    if asked.returncode != _SSH_FAILED:
        return []
    lines = (parse_log_line(raw) for raw in asked.stderr.splitlines())
    return [line for line in lines if line is not None]


@contextmanager
def _started(
    options: BaseOptions, argv: list[str], *, ssh_key: Path | None, folder: Path | None, stdin: BinaryIO | None
) -> Iterator[subprocess.Popen[bytes]]:
    """The running process, in a session of its own: an interrupt at the terminal is for us, and we stop it."""
    receiving, sending = os.pipe()
    try:
        with os.fdopen(sending, "wb") as pipe:
            pipe.write(options.passphrase.encode())
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=borg_environment(options, passphrase_fd=receiving, ssh_key=ssh_key, inherited=os.environ),
            pass_fds=(receiving,),
            start_new_session=True,
        )
    finally:
        os.close(receiving)
    with process:
        yield process


def _read_log(stream: IO[bytes], log: list[LogLine]) -> None:
    """Keep the first messages; of later ones only errors, the last in place of the one before it."""
    for raw in stream:
        line = parse_log_line(raw)
        if line is None:
            continue
        if len(log) < _KEPT_LINES:
            log.append(line)
        elif line.is_error:
            log[-1] = line


def parse_log_line(raw: bytes) -> LogLine | None:
    """One line of stderr; what is not JSON (of ssh, or of borg's argument parser) counts as a warning.

    None for reports of progress.
    """
    text = raw.decode("utf-8", "replace").rstrip("\r\n")
    try:
        document = json.loads(text)
    except ValueError:
        return LogLine(level="WARNING", message=_shortened(text)) if text else None
    if not isinstance(document, dict) or document.get("type") != "log_message":
        return None
    return LogLine(
        level=str(document.get("levelname", "")),
        message=_shortened(str(document.get("message", "")).removeprefix("Remote: ")),  # said by `borg serve`
        name=str(document.get("name", "")),
        msgid=str(document.get("msgid", "")),
    )


def _shortened(text: str) -> str:
    """Tracebacks are long; their beginning and their end are what tells."""
    half = _KEPT_CHARACTERS // 2
    return text if len(text) <= _KEPT_CHARACTERS else f"{text[:half]} ... {text[-half:]}"


def _end_when_stopped(process: subprocess.Popen[bytes], stop: StopToken) -> None:
    """Ask, ask again, then end it."""
    while process.poll() is None:
        if not stop.wait(0.1):
            continue
        for number, timeout_s in ((signal.SIGINT, SAVE_TIMEOUT_S), (signal.SIGTERM, END_TIMEOUT_S)):
            process.send_signal(number)
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                continue
            return
        process.kill()
        return
