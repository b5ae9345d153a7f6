"""Checkpoints: the size and root of the ledger at one moment, signed.

Source: C2SP tlog-checkpoint (c2sp.org/tlog-checkpoint). The origin is the name of the key, so that no other text that
the key signs can pass for a checkpoint.
"""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from repository.errors import IntegrityError
from repository.ledger.keys import SigningKey, VerifierKey, strict_base64
from repository.ledger.merkle import HASH_BYTES
from repository.ledger.note import open_note, sign_note

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What the ledger was when it had `size` entries."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    """Further lines; we write none, and let those of others stand."""

    def text(self) -> str:
        """The text that is signed."""
        return "\n".join([self.origin, str(self.size), base64.b64encode(self.root).decode(), *self.extensions, ""])

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read the text of a checkpoint, in its one form only. Raises ValueError."""
        match text.split("\n"):
            case [origin, size, root, *extensions, ""] if origin and all(extensions):
                if not _SIZE.fullmatch(size):
                    raise ValueError(f"{size!r} is not the size of a ledger")
                parsed = cls(origin=origin, size=int(size), root=strict_base64(root), extensions=tuple(extensions))
                if len(parsed.root) != HASH_BYTES:
                    raise ValueError(f"its root has {len(parsed.root)} bytes, not {HASH_BYTES}")
                return parsed
            case _:
                raise ValueError("a checkpoint has a line each for origin, size and root, and none is empty")


def sign_checkpoint(size: int, root: bytes, key: SigningKey) -> str:
    """A signed checkpoint, as it goes to the tiers."""
    return sign_note(Checkpoint(origin=key.name, size=size, root=root).text(), key)


def open_checkpoint(data: bytes, keys: Sequence[VerifierKey], *, where: object) -> Checkpoint:
    """Check a signed checkpoint and read it.

    Args:
        data: the file's bytes.
        keys: the ledger's key, and those that it had before; each has the ledger's origin as its name.
        where: tier or path, told in errors.

    Raises:
        IntegrityError: it is not signed by one of the keys, or is no checkpoint of this ledger.
    """
    note = open_note(data, keys, where=where)
    try:
        checkpoint = Checkpoint.parse(note.text)
    except ValueError as error:
        raise _not_ours(where, str(error)) from error
    if all(key.name != checkpoint.origin for key in note.signed_by):
        raise _not_ours(where, f"it is of the ledger {checkpoint.origin}, and no key of that name has signed it")
    return checkpoint


def _not_ours(where: object, why: str) -> IntegrityError:
    return IntegrityError(
        "A signed text is not a checkpoint of this ledger",
        where=where,
        why=why,
        next_step="compare it with the copies on the other tiers, and keep it: it may be evidence",
    )
