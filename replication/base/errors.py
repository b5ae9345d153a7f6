"""What borg's exit codes mean for an operator: one table, and the few cases in which the code alone does not tell.

Source: borg 1.4 "Return codes" (BORG_EXIT_CODES=modern). What is not in the table is an error of its own, never fine.
"""

import errno
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from replication.base.borg import CONNECTION_LOST, Outcome
from repository.errors import (
    BackupError,
    BaseFullError,
    BaseTamperedError,
    BaseUnavailableError,
    ConfigError,
    IntegrityError,
    NotFoundError,
    RepositoryError,
)

ARCHIVE_EXISTS: Final = 30
NO_ARCHIVE: Final = 31
NOTHING_MATCHED: Final = 101

_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")


@dataclass(frozen=True, slots=True)
class _Meaning:
    error: type[BackupError | ConfigError | IntegrityError | NotFoundError]
    what: str
    next_step: str


_NO_BASE = _Meaning(
    ConfigError,
    "There is no backup base at this place",
    "check the address in the configuration and that its disk is mounted; `jindang init` makes a new base",
)
_NO_REPOSITORY = _Meaning(
    ConfigError,
    "What lies there is not a borg repository that can be used",
    "check the address in the configuration; if it is right, the base is damaged: look at it together with its keeper",
)
_NO_KEY = _Meaning(
    ConfigError,
    "The backup base has lost its key",
    "bring back the exported key: `borg key import`, see docs/how-to/set-up-the-backup-base.md",
)
_PASSPHRASE = _Meaning(
    ConfigError,
    "The passphrase of the backup base is wrong",
    "give the one that the base was made with; it is kept with the paper key",
)
_FULL = _Meaning(
    BaseFullError,
    "The backup base has no space left",
    "give it more disk or a larger quota, then run the same command again: what it has is not sent twice",
)
_LOCKED = _Meaning(
    BaseUnavailableError,
    "Somebody else is working on the backup base",
    "wait until that is finished and run again; if nobody is, see `borg break-lock`",
)
_UNREACHABLE = _Meaning(
    BaseUnavailableError,
    "The backup base cannot be reached",
    "check the network and whether the base's machine and its ssh service run, then run again",
)
_REFUSED_PATH = _Meaning(
    ConfigError,
    "The base's machine does not let this key use this repository",
    "compare the path in the configuration with `--restrict-to-repository` in authorized_keys on the base",
)
_TAMPERED = _Meaning(
    BaseTamperedError,
    "The backup base is not the one that we know: it was replaced, set back or changed by somebody else",
    "write nothing to it; find out who worked on it, and compare `jindang backup list` with the catalogue",
)
_DAMAGED = _Meaning(
    IntegrityError,
    "The backup base is damaged",
    "run `jindang backup check --depth data`, and do not repair before its findings are written down",
)
_INCOMPLETE = _Meaning(
    BackupError,
    "Not every file came into the archive as it should; the archive does not count",
    "see which file it is; stored versions never change, so find out who touched it, then run again",
)
_OLD = _Meaning(ConfigError, "The base's machine has another release of borg", "install borg 1.4 or later there")
_OTHER = _Meaning(BackupError, "borg could not do its work", "see the reason; `jindang doctor` tries the base out")
_HOST_KEY = _Meaning(
    BackupError,
    "The base's machine shows a host key that is not the one we know",
    "ask its keeper by telephone for the fingerprint; only if it was changed on purpose put the new key into the file "
    "of known hosts",
)
_DENIED = _Meaning(
    BackupError,
    "The base's machine does not accept our ssh key",
    "have the public key put into authorized_keys on the base, and check that the private key is ours to read",
)
_NO_ARCHIVE = _Meaning(NotFoundError, "There is no such archive on the backup base", "see `jindang backup list`")
_UNREADABLE = _Meaning(
    BackupError,
    "The disk of the backup base cannot be read or written",
    "have its keeper look at the disk and its log",
)

_BY_CODE: Final[Mapping[int, _Meaning]] = {
    12: _DAMAGED,  # the repository says itself that it wants a check
    13: _NO_BASE,
    14: _FULL,
    17: _DAMAGED,  # a chunk is gone
    18: _NO_BASE,
    20: _FULL,  # the quota
    26: _DAMAGED,  # the manifest is gone
    NO_ARCHIVE: _NO_ARCHIVE,
    **dict.fromkeys((11, 15, 16, 25), _NO_REPOSITORY),
    **dict.fromkeys((40, 41, 42, 44, 45, 46), _NO_KEY),
    **dict.fromkeys((50, 51, 52, 53), _PASSPHRASE),
    **dict.fromkeys((61, 62, 63, 64), _TAMPERED),
    **dict.fromkeys(range(70, 76), _LOCKED),
    **dict.fromkeys(CONNECTION_LOST, _UNREACHABLE),
    82: _OLD,
    83: _REFUSED_PATH,
    84: _OLD,
    85: _UNREACHABLE,
    86: _UNREACHABLE,
    **dict.fromkeys(range(90, 95), _DAMAGED),
    **dict.fromkeys(range(95, 100), _TAMPERED),  # what proves that the key's owner wrote it is not there
    **dict.fromkeys(range(100, 128), _INCOMPLETE),  # borg's warnings: changed while read, missing, not readable
}

_BY_ERRNO: Final[Mapping[int, _Meaning]] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EIO: _UNREADABLE,
    errno.EROFS: _UNREADABLE,
    errno.ENOENT: _DAMAGED,  # a file of the repository is gone; with another cause the code is not the general one
}

_BY_WORDS_OF_SSH: Final = (
    ("Host key verification failed", _HOST_KEY),
    ("Permission denied (", _DENIED),
)


def error_of(outcome: Outcome, where: object) -> RepositoryError:
    """The error that an exit code other than 0 stands for, with borg's own words as the reason."""
    meaning = _meaning(outcome)
    return meaning.error(meaning.what, where=where, why=_reason(outcome), next_step=meaning.next_step)


def is_damage(outcome: Outcome) -> bool:
    """Whether borg ended because stored bytes are not what they were."""
    return not outcome.is_ok and _meaning(outcome) is _DAMAGED


def _meaning(outcome: Outcome) -> _Meaning:
    if outcome.exit_code in CONNECTION_LOST:
        said = "\n".join(line.message for line in outcome.log)
        return next((meaning for words, meaning in _BY_WORDS_OF_SSH if words in said), _UNREACHABLE)
    if outcome.exit_code == 2:  # noqa: PLR2004 - the general one: of exceptions that borg has no name for
        numbers = [int(number) for line in outcome.log if line.is_error for number in _ERRNO.findall(line.message)]
        return next((_BY_ERRNO[number] for number in reversed(numbers) if number in _BY_ERRNO), _OTHER)
    return _BY_CODE.get(outcome.exit_code, _OTHER)


def _reason(outcome: Outcome) -> str:
    """What ssh and borg said last, without traceback, on one line."""
    said = [line.message for line in outcome.log if line.is_trouble and not line.message.startswith("Traceback")]
    said = list(dict.fromkeys(said))[-3:]
    if outcome.exit_code == 2:  # noqa: PLR2004 - the traceback's last line is all there is
        said += [_last_line(line.message) for line in outcome.log if line.message.startswith("Traceback")][-1:]
    text = "; ".join(" ".join(message.split()) for message in said)
    ended = f"exit code {outcome.exit_code}" if outcome.exit_code >= 0 else f"ended by signal {-outcome.exit_code}"
    return f"{text}; {ended}" if text else ended


def _last_line(traceback: str) -> str:
    """`OSError: [Errno 28] No space left on device: ...`, which is followed by facts about the machine."""
    found = [line for line in traceback.splitlines() if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return found[-1] if found else ""
