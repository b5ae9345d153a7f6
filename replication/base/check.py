"""What `borg check` found. Its exit code says "warning" (1) of a corrupt repository, so the log is what counts."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from replication.base.borg import Outcome
from replication.base.errors import error_of, is_damage

_WARNING_EXIT: Final = 1
_PARTIAL: Final = "finished partial segment check"
_MADE_BY: Final = ("borg.archive", "borg.repository", "borg.archiver")


class CheckDepth(StrEnum):
    """How much is looked at."""

    REPOSITORY = "repository"
    """The checksum of every entry of every segment, and the index; no key is needed."""
    ARCHIVES = "archives"
    """Whether the chunks of all archives are there; no content is read."""
    DATA = "data"
    """Both, and every chunk is decrypted and authenticated."""


_FLAGS: Final = {
    CheckDepth.REPOSITORY: "--repository-only",
    CheckDepth.ARCHIVES: "--archives-only",
    CheckDepth.DATA: "--verify-data",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What a check of the base came to.

    Args:
        depth: how much was looked at.
        complete: False when the time was up before the end; the next check of this depth goes on from there.
        problems: what borg said, at most 1,000 messages. One damaged entry makes everything after it in its segment
            unknown to the index, so that many messages need not be many damages: depth `data` tells.
    """

    depth: CheckDepth
    complete: bool
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with what was looked at."""
        return not self.problems


def check_arguments(depth: CheckDepth, max_duration_s: int | None) -> list[str]:
    """The options of `borg check`; only a check of the repository can be done in portions."""
    portion = [] if max_duration_s is None else ["--max-duration", str(max_duration_s)]
    return ["--info", _FLAGS[depth], *(portion if depth is CheckDepth.REPOSITORY else [])]


def report_of(outcome: Outcome, depth: CheckDepth, where: object) -> CheckReport:
    """Judge by what was said.

    Raises:
        RepositoryError: the check could not be made.
    """
    problems = [line.message for line in outcome.log if line.is_trouble and line.name.startswith(_MADE_BY)]
    if outcome.exit_code not in (0, _WARNING_EXIT) and not is_damage(outcome):
        raise error_of(outcome, where)
    if not outcome.is_ok and not problems:
        problems = [str(error_of(outcome, where))]
    partial = any(line.message.startswith(_PARTIAL) for line in outcome.log)
    return CheckReport(depth=depth, complete=not partial, problems=tuple(problems))
