"""What others say of what we write: the OCFL validator of ocfl-py, and the bagit library."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.doubles.packages_builder import ODD_NAMES, bag, write_folder
from tests.fixtures.command_line import CommandLine, deposit

PEERS = Path(__file__).resolve().parents[2] / ".venv-peers" / "bin"


def peer(name: str) -> Path:
    """A program of .venv-peers; without it a visible skip, in CI an error."""
    program = PEERS / name
    if not program.exists():
        message = f"{program} is not installed; `scripts/bootstrap test` installs it"
        if os.environ.get("CI") == "true":
            raise FileNotFoundError(message)
        pytest.skip(message)
    return program


def judged_by(program: Path, *words: object) -> tuple[int, str]:
    argv = [str(PEERS / "python"), str(program), *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def filled(jindang: CommandLine, tmp_path: Path) -> CommandLine:
    """Objects of several kinds, one of three versions, one with odd names."""
    package = deposit(tmp_path / "J019-WS·2015", page="one", kept="kept", folder__copy="kept")
    write_folder(tmp_path / "odd", {name: name.encode() for name in ODD_NAMES})
    write_folder(tmp_path / "bag", bag({"a": b"1", "empty": b""}))
    packages = [package, tmp_path / "odd", tmp_path / "bag", deposit(tmp_path / "empty-file", only="")]
    assert jindang("ingest", *packages).code == 0
    (package / "page").write_text("two")
    (package / "folder/copy").unlink()
    assert jindang("ingest", package).code == 0
    (tmp_path / "J019-WS·2015.yaml").write_text("title: 规划图\n")
    assert jindang("ingest", package).code == 0
    return jindang


def verdict_of_ocfl_py(tier: Path) -> tuple[str, bool]:
    """What it says of the root, and whether it found the root and each of its objects valid.

    On a root, ocfl-validate.py passes over what is wrong with the objects, and ocfl-root.py ends with 0 whatever it
    says; so each object is given to the one, and what the other says is read.
    """
    objects = [path.parent for path in tier.glob("*/*/*/*/0=ocfl_object_1.1")]
    each, _ = judged_by(peer("ocfl-validate.py"), *objects)
    options = ["--root", tier, "--validate-objects", "--check-digests", "--verbose"]
    _, said = judged_by(peer("ocfl-root.py"), "validate", *options)
    whole = f"Objects checked: {len(objects)} / {len(objects)} are VALID\nStorage root {tier} is VALID" in said
    return said, whole and each == 0


@pytest.mark.parametrize("digest", ["sha512", "sha256"])
def test_our_storage_root_satisfies_ocfl_py(filled: CommandLine, tmp_path: Path, digest: str) -> None:
    filled.config.write_text(filled.config.read_text().replace("workers: 1", f"workers: 1, digest: {digest}"))
    assert filled("ingest", deposit(tmp_path / f"of-{digest}")).code == 0
    said, valid = verdict_of_ocfl_py(filled.tier)
    assert valid, said
    assert "Objects checked: 5 / 5" in said


def test_that_validator_would_have_noticed(filled: CommandLine) -> None:
    (content,) = filled.tier.glob("*/*/*/*empty-file/v1/content/data/only")
    content.chmod(0o644)
    content.write_text("not empty")
    said, valid = verdict_of_ocfl_py(filled.tier)
    assert not valid, said
    assert "E092" in said


@pytest.mark.parametrize("name", ["J019-WS·2015", "bag", "empty-file"])
def test_our_bags_satisfy_the_bagit_library(filled: CommandLine, tmp_path: Path, name: str) -> None:
    bagit = peer("bagit.py")
    assert filled("export", name, tmp_path / "out", "--as", "bagit").code == 0
    code, said = judged_by(bagit, "--validate", tmp_path / "out")
    assert code == 0, said
    assert "is valid" in said
    (tmp_path / "out" / "data" / "more").write_text("x")
    assert judged_by(bagit, "--validate", tmp_path / "out")[0] == 1
