"""What auditors get, checked by the stand-alone verifier in a process that cannot see Jindang."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from repository.errors import InvalidInputError
from repository.ledger.checkpoint import Checkpoint, sign_checkpoint
from repository.ledger.export import export_all, export_selection
from repository.ledger.keys import SigningKey
from repository.ledger.merkle import CompactRange, leaf_hash, root_of
from repository.ledger.note import sign_note
from repository.ledger.tree import MemoryNodes, append

VERIFIER = Path(__file__).parents[3] / "scripts" / "verify-ledger"
OK, WRONG, NOT_CHECKED = 0, 1, 2
Verify = Callable[..., tuple[int, str]]


@pytest.fixture
def verify(key: SigningKey, tmp_path: Path) -> Verify:
    """Runs the verifier with `python -I` in an empty folder; gives its exit code and what it said."""
    program = shutil.copy(VERIFIER, tmp_path / "verifier.py")

    def run(*arguments: object, public: str = str(key.verifier)) -> tuple[int, str]:
        command = [sys.executable, "-I", program, "--key", public, *map(str, arguments)]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"]},
            timeout=60,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    return run


def _signed(entries: list[bytes], key: SigningKey, size: int | None = None) -> str:
    seen = entries[:size]
    return sign_checkpoint(len(seen), root_of(map(leaf_hash, seen)), key)


def _nodes(entries: list[bytes]) -> MemoryNodes:
    nodes = MemoryNodes()
    append(nodes, CompactRange(), map(leaf_hash, entries))
    return nodes


@pytest.fixture
def all_of_it(entries: list[bytes], key: SigningKey, tmp_path: Path) -> Path:
    export_all(tmp_path / "all", _signed(entries, key), entries)
    return tmp_path / "all"


@pytest.fixture
def some_of_it(entries: list[bytes], key: SigningKey, tmp_path: Path) -> Path:
    selected = [(number, entries[number - 1]) for number in (1, 7, 16, 25)]
    export_selection(tmp_path / "some", _signed(entries, key), selected, nodes=_nodes(entries))
    return tmp_path / "some"


def _edit(path: Path, change: Callable[[list[str]], object]) -> None:
    lines = path.read_text(encoding="utf-8").split("\n")
    change(lines)
    path.write_text("\n".join(lines), encoding="utf-8")


def test_the_verifier_needs_nothing_of_ours() -> None:
    source = VERIFIER.read_text(encoding="utf-8")
    assert "jindang" not in source.lower()
    assert "repository" not in source
    assert VERIFIER.stat().st_mode & 0o111


def test_an_export_is_proved_with_the_public_key_alone(
    all_of_it: Path, some_of_it: Path, verify: Verify, tmp_path: Path, key: SigningKey
) -> None:
    assert verify(all_of_it) == (OK, f"OK: 25 of 25 entries of {key.name} are what was signed\n")
    assert verify(some_of_it) == (OK, f"OK: 4 of 25 entries of {key.name} are what was signed\n")
    (tmp_path / "ledger.pub").write_text(f"{key.verifier}\n")
    assert verify(all_of_it, public="ledger.pub")[0] == OK
    assert {path.name for path in all_of_it.iterdir()} == {"README.txt", "checkpoint.txt", "events.jsonl"}
    assert {path.name for path in some_of_it.iterdir()} == {
        "README.txt", "checkpoint.txt", "events.jsonl", "proofs.jsonl",
    }  # fmt: skip


def test_any_number_of_entries_can_be_proved(
    entries: list[bytes], key: SigningKey, verify: Verify, tmp_path: Path
) -> None:
    for size in (0, 1, 2, 3, 8):
        note, seen = _signed(entries, key, size), entries[:size]
        export_all(tmp_path / f"all-{size}", note, seen)
        export_selection(tmp_path / f"some-{size}", note, enumerate(seen, 1), nodes=_nodes(entries))
        for name in ("all", "some"):
            assert verify(tmp_path / f"{name}-{size}")[1].startswith(f"OK: {size} of {size} ")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines.__setitem__(6, lines[6].replace("success", "failure")), "between 1 and 25"),
        (lambda lines: lines.pop(6), "where entry 7 should be"),
        (lambda lines: lines.insert(6, lines[6]), "where entry 8 should be"),
        (lambda lines: lines.insert(3, lines.pop(6)), "where entry 4 should be"),
        (lambda lines: lines.pop(24), "there are only 24 entries"),
        (
            lambda lines: lines.insert(25, lines[24].replace('"number":25', '"number":26')),
            "there are 26 entries, and 25",
        ),
        (lambda lines: lines.pop(), "where entry 25 should be"),
        (lambda lines: lines.__setitem__(6, "text"), "where entry 7 should be"),
    ],
    ids=["changed", "removed", "inserted", "moved", "cut off", "added", "torn", "spoilt"],
)
def test_a_change_of_all_entries_is_found(
    all_of_it: Path, verify: Verify, change: Callable[[list[str]], object], said: str
) -> None:
    _edit(all_of_it / "events.jsonl", change)
    code, output = verify(all_of_it)
    assert code == WRONG
    assert output.startswith("WRONG: ")
    assert said in output


@pytest.mark.parametrize(
    ("file", "change", "said"),
    [
        ("events.jsonl", lambda lines: lines.__setitem__(1, lines[1].replace("success", "failure")), "entry 7"),
        ("events.jsonl", lambda lines: lines.insert(0, lines.pop(1)), "entry 1 should be"),
        ("events.jsonl", lambda lines: lines.pop(3), "more proofs"),
        ("proofs.jsonl", lambda lines: lines.pop(3), "where a proof should be"),
        (
            "proofs.jsonl",
            lambda lines: lines.__setitem__(2, lines[2].replace('"proof":["', '"proof":["AAAA')),
            "entry 16",
        ),
        ("proofs.jsonl", lambda lines: lines.__setitem__(2, json.dumps({"number": 16, "proof": []})), "entry 16"),
        ("proofs.jsonl", lambda lines: lines.__setitem__(0, json.dumps({"number": -1, "proof": []})), "entry -1"),
        ("proofs.jsonl", lambda lines: lines.__setitem__(0, "[]"), "where a proof should be"),
    ],
)
def test_a_change_of_selected_entries_is_found(
    some_of_it: Path, verify: Verify, file: str, change: Callable[[list[str]], object], said: str
) -> None:
    _edit(some_of_it / file, change)
    code, output = verify(some_of_it)
    assert code == WRONG
    assert said in output


def test_an_entry_that_is_there_twice_is_found(some_of_it: Path, verify: Verify) -> None:
    for name in ("events.jsonl", "proofs.jsonl"):
        _edit(some_of_it / name, lambda lines: lines.insert(1, lines[0]))
    assert verify(some_of_it)[0] == WRONG


def test_a_checkpoint_signed_by_another_proves_nothing(
    all_of_it: Path, entries: list[bytes], other_key: SigningKey, verify: Verify
) -> None:
    checkpoint = all_of_it / "checkpoint.txt"
    ours = checkpoint.read_text()
    forged = _signed(entries, other_key)
    for text in (
        forged,
        ours.replace("\n25\n", "\n24\n"),
        ours.split("\n\n")[0] + "\n",
        "",
    ):
        checkpoint.chmod(0o644)
        checkpoint.write_text(text)
        code, output = verify(all_of_it)
        assert (code, "checkpoint.txt is not a checkpoint" in output) == (WRONG, True)
    checkpoint.write_text(ours + forged.split("\n\n")[1])
    assert verify(all_of_it)[0] == OK, "a signature more is no fault"


def test_another_text_that_the_key_has_signed_is_no_checkpoint(
    all_of_it: Path, entries: list[bytes], verify: Verify, key: SigningKey
) -> None:
    text = Checkpoint(origin="other.example", size=25, root=root_of(map(leaf_hash, entries))).text()
    (all_of_it / "checkpoint.txt").chmod(0o644)
    (all_of_it / "checkpoint.txt").write_text(sign_note(text, key))
    assert verify(all_of_it)[0] == WRONG


def test_a_history_rewritten_and_signed_again_does_not_continue_an_earlier_checkpoint(
    entries: list[bytes], key: SigningKey, verify: Verify, tmp_path: Path
) -> None:
    kept = []
    for size in (8, 16):
        kept += ["--earlier", tmp_path / f"kept-{size}.txt"]
        kept[-1].write_text(_signed(entries, key, size))
    rewritten = [*entries[:10], entries[10].replace(b"success", b"failure"), *entries[11:]]
    for name, now in (("honest", entries), ("forged", rewritten), ("shorter", entries[:12])):
        export_all(tmp_path / name, _signed(now, key), now)
    assert verify(tmp_path / "honest", *kept)[0] == OK
    assert verify(tmp_path / "forged")[0] == OK, "the new signature alone does not show it"
    code, output = verify(tmp_path / "forged", *kept)
    assert (code, "from an entry between 9 and 16 on" in output) == (WRONG, True)
    code, output = verify(tmp_path / "shorter", *kept)
    assert (code, "there are only 12 entries" in output) == (WRONG, True)


def test_what_could_not_be_checked_is_neither_right_nor_wrong(
    all_of_it: Path, some_of_it: Path, verify: Verify, tmp_path: Path, key: SigningKey
) -> None:
    short = b"\x01" + bytes(31)
    short_key = f"a+{hashlib.sha256(b'a' + bytes([10]) + short).hexdigest()[:8]}+{base64.b64encode(short).decode()}"
    for public in ("", "ledger.pub", "a+b", "a+00000000+AAAA", str(key.verifier)[:-4], short_key):
        assert verify(all_of_it, public=public)[0] == NOT_CHECKED
    assert verify(tmp_path / "absent")[0] == NOT_CHECKED
    assert verify(some_of_it, "--earlier", some_of_it / "checkpoint.txt")[0] == NOT_CHECKED
    (all_of_it / "events.jsonl").unlink()
    assert verify(all_of_it)[0] == NOT_CHECKED
    assert verify()[0] == NOT_CHECKED


def test_an_export_is_never_half_there(entries: list[bytes], key: SigningKey, tmp_path: Path) -> None:
    note = _signed(entries, key)
    for wrong in (entries[:-1], [*entries, entries[0]]):
        with pytest.raises(InvalidInputError, match="25"):
            export_all(tmp_path / "new", note, wrong)
    for number in (0, 26):
        with pytest.raises(InvalidInputError, match=f"entry {number}"):
            export_selection(tmp_path / "new", note, [(number, entries[0])], nodes=_nodes(entries))
    assert list(tmp_path.iterdir()) == []
    export_all(tmp_path / "new", note, entries)
    with pytest.raises(InvalidInputError, match="already"):
        export_all(tmp_path / "new", note, entries)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
