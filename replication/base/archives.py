"""The archives of a backup base: their names, what borg says of them, and what has become of those that we made."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from repository.errors import InvalidInputError

RECORDS: Final = "records-"
"""Archives of object versions: for ever."""

CATALOGUE: Final = "catalogue-"
"""Archives of the catalogue and the configuration alone: kept by rules."""

UNREAD: Final = ".unread"
"""Ends the name of an archive that was not read back yet: it does not count, for us or for anybody."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One archive; `id` is borg's digest over all that it says, so another archive has another one."""

    name: str
    id: str
    created: datetime
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveStats:
    """An archive that was just made, under the name that it has until it is read back and accepted.

    Args:
        archive: its name, with the ending `.unread`.
        files: how many it has.
        original_bytes: of all its files.
        stored_bytes: what the base has grown by.
        duration_s: as borg measured it.
    """

    archive: str
    files: int
    original_bytes: int
    stored_bytes: int
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseComparison:
    """What the base has, against what we know that we made.

    Args:
        lost: archives that are gone.
        replaced: archives that have another id: somebody put another one in their place.
        unknown: archives that we have no record of.
    """

    lost: tuple[Archive, ...] = ()
    replaced: tuple[Archive, ...] = ()
    unknown: tuple[Archive, ...] = ()

    @property
    def has_losses(self) -> bool:
        """Whether something that we made is not there any more; an unknown archive takes nothing away."""
        return bool(self.lost or self.replaced)

    def messages(self) -> list[str]:
        """One sentence for each finding."""
        return [
            *(f"archive {each.name} is gone" for each in self.lost),
            *(f"archive {each.name} is not the one that we made: its id was {each.id}" for each in self.replaced),
            *(f"archive {each.name} is not one that we have a record of" for each in self.unknown),
        ]


def compare_archives(known: Iterable[Archive], present: Iterable[Archive]) -> BaseComparison:
    """Compare by name and id."""
    there = {each.name: each for each in present}
    ours = {each.name: each for each in known}
    return BaseComparison(
        lost=tuple(each for name, each in ours.items() if name not in there),
        replaced=tuple(each for name, each in ours.items() if name in there and there[name].id != each.id),
        unknown=tuple(each for name, each in there.items() if name not in ours),
    )


def check_name(name: str) -> str:
    """The name, if an archive may have it. Raises InvalidInputError."""
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            "An archive cannot have this name",
            where=repr(name),
            next_step="use letters, digits, _ and - of ASCII, at most 101, for instance records-20261122T081530Z",
        )
    return name


def parse_archives(listing: bytes) -> list[Archive]:
    """Read `borg list --json --format {comment}`, which gives times in UTC without saying so."""
    return [
        Archive(
            name=entry["name"],
            id=entry["id"],
            created=datetime.fromisoformat(entry["time"]).replace(tzinfo=UTC),
            comment=entry["comment"],
        )
        for entry in json.loads(listing)["archives"]
    ]


def parse_stats(output: bytes) -> ArchiveStats:
    """Read what `borg create --json` says at its end."""
    archive: dict[str, Any] = json.loads(output)["archive"]
    stats = archive["stats"]
    return ArchiveStats(
        archive=archive["name"],
        files=stats["nfiles"],
        original_bytes=stats["original_size"],
        stored_bytes=stats["deduplicated_size"],
        duration_s=archive["duration"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepRules:
    """Of how many days, weeks, months and years the last catalogue archive is kept."""

    daily: int = 14
    weekly: int = 8
    monthly: int = 24
    yearly: int = 100


def archives_to_prune(archives: Iterable[Archive], keep: KeepRules) -> list[Archive]:
    """The catalogue archives that no rule keeps, oldest first; never any other archive, and never the newest one.

    As in `borg prune`, an archive that a finer rule keeps uses up no place of a coarser one, and a rule that has
    places left keeps the oldest.
    """
    newest_first = sorted(
        (each for each in archives if each.name.startswith(CATALOGUE) and not each.name.endswith(UNREAD)),
        key=lambda each: (each.created, each.name),
        reverse=True,
    )
    rules: Sequence[tuple[int, Callable[[datetime], tuple[int, ...]]]] = (
        (keep.daily, lambda moment: (moment.year, moment.month, moment.day)),
        (keep.weekly, lambda moment: tuple(moment.isocalendar()[:2])),
        (keep.monthly, lambda moment: (moment.year, moment.month)),
        (keep.yearly, lambda moment: (moment.year,)),
    )
    kept: set[str] = set()
    for count, period_of in rules:
        kept |= _last_of_each_period(newest_first, kept, count=count, period_of=period_of)
    return [each for each in reversed(newest_first[1:]) if each.name not in kept]


def _last_of_each_period(
    newest_first: Sequence[Archive], kept: set[str], *, count: int, period_of: Callable[[datetime], tuple[int, ...]]
) -> set[str]:
    found: set[str] = set()
    last: tuple[int, ...] | None = None
    for each in newest_first:
        if len(found) == count:
            break
        if period_of(each.created) != last:
            last = period_of(each.created)
            if each.name not in kept:
                found.add(each.name)
    if len(found) < count and newest_first and newest_first[-1].name not in kept:
        found.add(newest_first[-1].name)
    return found
