"""`jindang tier locks`: until when versions on an object store cannot be deleted, and keeping it so."""

import contextlib
from collections import Counter
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from jindang.cli.invocation import Command, Invocation
from repository.errors import InvalidInputError

if TYPE_CHECKING:
    from storage_tiers.object_store.lock import LockedVersion

_MOST_NAMED = 100


@click.command(cls=Command, name="locks")
@click.argument("name")
@click.option("--extend", is_flag=True, help="Lock what ends too soon for the configured time again, from now on")
@click.option(
    "--within",
    "within_days",
    type=click.IntRange(0, 36_500),
    metavar="DAYS",
    help="What counts as too soon  [default: half of the configured time]",
)
def locks(invocation: Invocation, name: str, extend: bool, within_days: int | None) -> int:
    """Show until when versions on the object store NAME are locked, and extend the locks that end soon.

    A lock is never shortened. It can be stopped and run again at any time. The exit code is 1 when a version is not
    locked, or not any more, and was not locked now.
    """
    from jindang.config import ObjectStore

    with invocation.open_vault() as vault:
        stop = invocation.begin_long_work()
        settings = vault.settings.tier(name)
        if not isinstance(settings, ObjectStore) or settings.lock is None:
            raise InvalidInputError(
                f"The tier {name!r} locks nothing",
                where=settings.where,
                next_step="`lock` in the settings of an object store makes it; see docs/reference/configuration.md",
            )
        days = settings.lock.days / 2 if within_days is None else within_days
        now = invocation.clock.now()
        with contextlib.closing(vault.object_store(settings)) as store:
            tally = _LockTally(invocation, now=now, soon=now + timedelta(days=days))
            for locked in store.locks(extend_before=tally.soon if extend else None, stop=stop):
                tally.add(locked)
    return tally.end(name, days=days)


class _LockTally:
    """Counts locks by the month in which they end."""

    def __init__(self, invocation: Invocation, *, now: datetime, soon: datetime) -> None:
        self._invocation, self._now, self.soon = invocation, now, soon
        self._months: Counter[str] = Counter()
        self._horizon: datetime | None = None
        self._versions = self._ending_soon = self._extended = self._unlocked = 0
        self._named: list[dict[str, object]] = []

    def add(self, locked: "LockedVersion") -> None:
        """Count one."""
        self._versions += 1
        self._extended += locked.extended_to is not None
        until = locked.extended_to or locked.retain_until
        if until is None or until <= self._now:
            self._unlocked += 1
            if len(self._named) < _MOST_NAMED:
                self._named.append({"object_path": locked.ref.object_path, "version": locked.ref.number})
            return
        self._months[f"{until:%Y-%m}"] += 1
        self._ending_soon += until < self.soon
        self._horizon = until if self._horizon is None else min(self._horizon, until)

    def end(self, name: str, *, days: float) -> int:
        """Tell what it came to; returns the exit code."""
        say = self._invocation.say
        months = sorted(self._months.items())
        self._invocation.table(("locks end in", "versions"), [(m, f"{n:,}") for m, n in months], right=("versions",))
        if self._horizon is not None:
            locked, first = sum(self._months.values()), f"{self._horizon:%Y-%m-%d %H:%M:%SZ}"
            say(f"{locked:,} of {self._versions:,} versions are locked, the first until {first}")
        if self._versions == 0:
            say("No version is stored on this tier yet")
        if self._extended:
            say(f"{self._extended:,} locks were extended")
        elif self._ending_soon:
            command = f"jindang tier locks {name} --extend"
            say(f"{self._ending_soon:,} locks end within {days:g} days; `{command}` extends them")
        self._warn(name)
        self._invocation.answer(
            {
                "tier": name,
                "versions": self._versions,
                "locked": sum(self._months.values()),
                "locked_until_at_least": None if self._unlocked else self._horizon,
                "first_end": self._horizon,
                "ends": [{"month": month, "versions": count} for month, count in months],
                "within_days": days,
                "ending_within": self._ending_soon,
                "extended": self._extended,
                "not_locked": self._unlocked,
                "not_locked_first": self._named,
            }
        )
        return 1 if self._unlocked else 0

    def _warn(self, name: str) -> None:
        if self._unlocked:
            click.echo(
                f"NOT PROTECTED: {self._unlocked:,} versions have no lock, or one that has ended; `jindang tier locks "
                f"{name} --extend` locks them. The first:",
                err=True,
            )
        for each in self._named[:5]:
            click.echo(f"  {each['object_path']} v{each['version']}", err=True)
