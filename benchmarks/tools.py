"""Ours, its peers and the limit: how each is prepared, run, and described."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from corpora import volumes_of

ROOT = Path(__file__).resolve().parent.parent
OURS_BIN = ROOT / ".venv" / "bin"
PEERS_BIN = ROOT / ".venv-peers" / "bin"
PROCESSES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A command ready to be timed.

    Attributes:
        argv: the command.
        environment: what is added to the environment.
        result: the folder that holds at least the corpus's bytes afterwards.
        check: looks at what the command wrote to stdout; raises when it did not do its work.
    """

    argv: list[str]
    environment: dict[str, str]
    result: Path
    check: Callable[[str], None] = lambda _output: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One of those compared.

    Attributes:
        name: as the table shows it.
        version: gives its version.
        prepare: makes everything that is not timed, in an empty folder, from a corpus.
        durable: whether it syncs what it wrote.
        says: what it does, for the report.
    """

    name: str
    version: Callable[[], str]
    prepare: Callable[[Path, Path], Job]
    durable: bool
    says: str


def prepare_jindang(corpus: Path, work: Path) -> Job:
    """A new vault; timed: `jindang ingest` of all volumes."""
    vault = work / "vault"
    _quietly([str(OURS_BIN / "jindang"), "init", str(vault)])
    volumes = volumes_of(corpus)
    config = str(vault / "jindang.yaml")
    argv = [str(OURS_BIN / "jindang"), "--config", config, "ingest", "--json", *map(str, volumes)]
    return Job(argv=argv, environment={}, result=vault, check=_is_json)


def prepare_bagit(corpus: Path, work: Path) -> Job:
    """It works in place: hard links of the corpus, which it moves into `data/` of each bag."""
    copy = work / "bags"
    _quietly(["cp", "-rl", str(corpus), str(copy)])
    script = str(PEERS_BIN / "bagit.py")
    argv = [script, "--quiet", "--sha512", "--processes", str(PROCESSES), *map(str, volumes_of(copy))]
    return Job(argv=argv, environment={}, result=copy)


def prepare_ocfl_py(corpus: Path, work: Path) -> Job:
    """One interpreter, two processes, a library call for each volume."""
    result = work / "ocfl"
    script = str(Path(__file__).resolve().parent / "ocfl_py_create.py")
    argv = [str(PEERS_BIN / "python"), script, str(result), str(PROCESSES), *map(str, volumes_of(corpus))]
    return Job(argv=argv, environment={}, result=result)


def prepare_borg(corpus: Path, work: Path) -> Job:
    """A new repository without encryption or compression; timed: `borg create`."""
    environment = {
        "BORG_BASE_DIR": str(work / "home"),
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        "BORG_REPO": str(work / "repository"),
    }
    borg = str(OURS_BIN / "borg")
    _quietly([borg, "init", "--encryption", "none"], environment)
    argv = [borg, "create", "--compression", "none", "::benchmark", str(corpus)]
    return Job(argv=argv, environment=environment, result=work / "repository")


def prepare_limit(corpus: Path, work: Path) -> Job:
    """What the machine can do: copy, sync, hash in two processes."""
    result = work / "copy"
    files = sum(1 for path in corpus.rglob("*") if path.is_file())
    at_once = max(1, min(64, files // (4 * PROCESSES)))
    script = (
        'cp -r "$1" "$2" && sync -f "$2" && '
        'find "$2" -type f -print0 | xargs -0 -n "$3" -P "$4" sha512sum >"$2.sha512"'
    )
    argv = ["sh", "-ec", script, "limit", str(corpus), str(result), str(at_once), str(PROCESSES)]
    return Job(argv=argv, environment={}, result=result)


def _is_json(output: str) -> None:
    json.loads(output)


def _quietly(argv: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(argv, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(argv[:6])} failed:\n{done.stdout}{done.stderr}")


def first_line(*argv: str | Path) -> Callable[[], str]:
    """Asks a program for its version when it is needed: the last line of what it says."""

    def read() -> str:
        done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False)
        return (done.stdout or done.stderr).strip().splitlines()[-1] if (done.stdout or done.stderr) else "?"

    return read


def installed(python: Path, distribution: str) -> Callable[[], str]:
    """Asks an environment for the version of a distribution when it is needed."""
    program = f"from importlib.metadata import version; print(version({distribution!r}))"
    return first_line(python, "-c", program)


def _coreutils() -> str:
    done = subprocess.run(["cp", "--version"], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[0].split()[-1]


def _commit() -> str:
    if shutil.which("git") is None:
        return "?"
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "?"


def jindang_version() -> str:
    """Ours, with the commit."""
    return f"{installed(OURS_BIN / 'python', 'jindang')()} ({_commit()})"


TOOLS = [
    Tool(
        name="jindang ingest",
        version=jindang_version,
        prepare=prepare_jindang,
        durable=True,
        says="reads, hashes and copies into an OCFL storage root, syncs, and records each volume in the catalogue",
    ),
    Tool(
        name="bagit.py",
        version=installed(PEERS_BIN / "python", "bagit"),
        prepare=prepare_bagit,
        durable=False,
        says="hashes in place (it copies nothing and syncs nothing): `--sha512 --processes 2`",
    ),
    Tool(
        name="ocfl-py",
        version=installed(PEERS_BIN / "python", "ocfl-py"),
        prepare=prepare_ocfl_py,
        durable=False,
        says="an OCFL object for each volume, by its library, in two processes; syncs nothing",
    ),
    Tool(
        name="borg create",
        version=installed(OURS_BIN / "python", "borgbackup"),
        prepare=prepare_borg,
        durable=True,
        says="into a new repository, `--encryption none`, `--compression none`",
    ),
    Tool(
        name="limit",
        version=_coreutils,
        prepare=prepare_limit,
        durable=True,
        says="`cp -r`, `sync -f`, then `sha512sum` in two processes: no tool that copies and hashes does less",
    ),
]
