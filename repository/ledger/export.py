"""A folder for auditors: entries, the checkpoint over them, and proofs, to be checked without Jindang.

Docs: docs/reference/ledger-format.md. `scripts/verify-ledger` checks it with the public key alone.
"""

import base64
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from repository.durable import FileSystemSync, remove_tree, rename_new, sync_folder, write_new_file
from repository.errors import InvalidInputError
from repository.ledger.checkpoint import Checkpoint
from repository.ledger.entry import canonical_json
from repository.ledger.tree import NodeStore, inclusion_proof

CHECKPOINT, EVENTS, PROOFS, README = "checkpoint.txt", "events.jsonl", "proofs.jsonl", "README.txt"

_WHAT_IT_IS = """\
Entries of a ledger of preservation events
==========================================

checkpoint.txt   size and root hash of the ledger {origin} at {size} entries, signed
events.jsonl     {what}, one a line
{proofs}
To check it, get the ledger's public key from the archive on another way than this folder (it is one line of text),
and the program verify-ledger, about 100 lines of Python, which needs nothing of Jindang:

    verify-ledger --key KEY THIS-FOLDER

It says OK, or what is wrong. By hand: the hash of an entry is the SHA-256 of a zero byte and the line without its line
end; hashes are put together in pairs as RFC 6962 section 2.1 says; the last one stands in checkpoint.txt in base64,
whose form and signature are those of c2sp.org/tlog-checkpoint and c2sp.org/signed-note.
"""


def export_all(target: Path, note: str, entries: Iterable[bytes]) -> None:
    """Write all entries that a checkpoint covers; no proofs are needed then.

    Args:
        target: folder to make; its parent exists.
        note: the signed checkpoint, checked before.
        entries: bytes of the entries 1 to the checkpoint's size, in order.

    Raises:
        InvalidInputError: there is something at the target already, or these are not as many entries.
        OSError: it could not be written; nothing is left at the target.
    """
    checkpoint = _checkpoint_of(note)

    def write(folder: Path) -> None:
        written = 0
        with (folder / EVENTS).open("xb") as events:
            for entry in entries:
                events.write(entry + b"\n")
                written += 1
        if written != checkpoint.size:
            raise InvalidInputError(
                "The entries are not those of the checkpoint",
                where=target,
                why=f"there are {written}, and the checkpoint covers {checkpoint.size}",
                next_step="run `jindang ledger verify`",
            )

    _make_folder(target, note, write, what="all its entries", proofs="")


def export_selection(target: Path, note: str, selected: Iterable[tuple[int, bytes]], *, nodes: NodeStore) -> None:
    """Write some entries, each with the proof that it stands in the ledger.

    Args:
        target: folder to make; its parent exists.
        note: the signed checkpoint, checked before.
        selected: number (from 1) and bytes of each entry.
        nodes: the ledger's tree.

    Raises:
        InvalidInputError: there is something at the target already, or the checkpoint does not cover an entry.
        OSError: it could not be written; nothing is left at the target.
    """
    checkpoint = _checkpoint_of(note)

    def write(folder: Path) -> None:
        with (folder / EVENTS).open("xb") as events, (folder / PROOFS).open("xb") as proofs:
            for number, entry in selected:
                if not 1 <= number <= checkpoint.size:
                    raise InvalidInputError(
                        "The checkpoint does not cover this entry",
                        where=f"entry {number}",
                        why=f"it covers the entries 1 to {checkpoint.size}",
                        next_step="make a checkpoint first with `jindang ledger checkpoint`",
                    )
                path = inclusion_proof(nodes, number - 1, size=checkpoint.size)
                proof = [base64.b64encode(node).decode() for node in path]
                events.write(entry + b"\n")
                proofs.write(canonical_json({"number": number, "proof": proof}) + b"\n")

    _make_folder(
        target,
        note,
        write,
        what="some of its entries",
        proofs=f"{PROOFS}     for each line of events.jsonl the hashes that lead from it to the root\n",
    )


def _checkpoint_of(note: str) -> Checkpoint:
    return Checkpoint.parse(note.rpartition("\n\n")[0] + "\n")


def _make_folder(target: Path, note: str, write: Callable[[Path], None], *, what: str, proofs: str) -> None:
    """Write into a folder beside the target, which gets its name when it is complete and durable."""
    checkpoint = _checkpoint_of(note)
    unfinished = target.with_name(f".{target.name}.new")
    remove_tree(unfinished)
    unfinished.mkdir()
    try:
        with FileSystemSync(unfinished) as written:
            write(unfinished)
            text = _WHAT_IT_IS.format(origin=checkpoint.origin, size=checkpoint.size, what=what, proofs=proofs)
            write_new_file(unfinished / README, text.encode(), mode=0o644)
            write_new_file(unfinished / CHECKPOINT, note.encode(), mode=0o644)
            written.sync()
        rename_new(unfinished, target)
    except FileExistsError:
        raise InvalidInputError(
            "There is something at this place already", where=target, next_step="give a folder that does not exist"
        ) from None
    finally:
        with suppress(OSError):
            remove_tree(unfinished)
    sync_folder(target.parent)
