"""The checks of `jindang doctor`; each answers for itself, none stops the others."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from repository.clock import Clock
from repository.errors import RepositoryError, TierError

if TYPE_CHECKING:
    from jindang.config import Settings, Tier
    from jindang.vault import Vault

OLDEST_PYTHON = (3, 11)
OLDEST_SQLITE = (3, 35, 0)
"""The first with RETURNING."""
OLDEST_TIME = datetime(2026, 1, 1, tzinfo=UTC)
CLOCK_TOLERANCE = timedelta(minutes=5)
LOW_SPACE_SHARE = 0.1


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    WRONG = "WRONG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the answer."""

    verdict: Verdict
    subject: str
    what: str
    next_step: str | None = None


def examine(config: Path, read_settings: "Callable[[], Settings]", *, clock: Clock) -> list[Finding]:
    """All checks; those that need a configuration only when there is a right one."""
    findings = [*_python(), *_tools(), *_clock(clock)]
    try:
        settings = read_settings()
    except RepositoryError as error:
        return [*findings, _wrong("configuration", error)]
    findings.append(Finding(verdict=Verdict.OK, subject="configuration", what=str(config)))
    return [*findings, *_folders(settings), *_vault(settings, clock)]


def _wrong(subject: str, error: RepositoryError) -> Finding:
    """An error as a finding; its next step stands apart from the rest of it."""
    what = str(error).removesuffix(f"\n  Next step: {error.next_step}")
    return Finding(verdict=Verdict.WRONG, subject=subject, what=what, next_step=error.next_step)


def _python() -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info[:2] >= OLDEST_PYTHON
    yield Finding(
        verdict=Verdict.OK if good else Verdict.WRONG,
        subject="Python",
        what=version,
        next_step=None if good else "install Python 3.11 or later",
    )
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        yield Finding(
            verdict=Verdict.WRONG,
            subject="SQLite",
            what=sqlite3.sqlite_version,
            next_step="install SQLite 3.35 or later, or use PostgreSQL",
        )
    if sys.getfilesystemencoding().lower() != "utf-8":
        yield Finding(
            verdict=Verdict.WRONG,
            subject="file names",
            what=f"the system's encoding is {sys.getfilesystemencoding()}",
            next_step="set LANG=C.UTF-8",
        )


def _tools() -> Iterator[Finding]:
    beside = Path(sys.executable).with_name("borg")
    borg = str(beside) if beside.exists() else shutil.which("borg")
    if borg is None:
        yield Finding(
            verdict=Verdict.WARNING,
            subject="borg",
            what="not found; the backup base needs it",
            next_step="install borgbackup 1.4 into Jindang's environment",
        )
        return
    try:
        done = subprocess.run([borg, "--version"], check=True, capture_output=True, text=True, timeout=30)
        yield Finding(verdict=Verdict.OK, subject="borg", what=done.stdout.strip())
    except (OSError, subprocess.SubprocessError) as error:
        yield Finding(verdict=Verdict.WARNING, subject="borg", what=str(error), next_step="install borgbackup again")


def _clock(clock: Clock) -> Iterator[Finding]:
    now = clock.now()
    good = now >= OLDEST_TIME
    yield Finding(
        verdict=Verdict.OK if good else Verdict.WRONG,
        subject="clock",
        what=now.isoformat(timespec="seconds"),
        next_step=None if good else "set the clock; every event carries its time",
    )


def _folders(settings: "Settings") -> Iterator[Finding]:
    for subject, folder in (("data folder", settings.data), *((f"tier {t.name}", t.path) for t in settings.disks)):
        if not folder.is_dir():
            if folder == settings.data:  # the check of a tier tells by itself that it is not there
                yield Finding(
                    verdict=Verdict.WRONG,
                    subject=subject,
                    what=f"{folder} is not there",
                    next_step="mount it, or make a new one with `jindang init`",
                )
        elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            yield Finding(
                verdict=Verdict.WRONG,
                subject=subject,
                what=f"{folder}: no permission to read and write",
                next_step=f"make user number {os.geteuid()} its owner",
            )


def _vault(settings: "Settings", clock: Clock) -> Iterator[Finding]:
    from jindang.vault import Vault

    try:
        with Vault(settings) as vault:
            yield Finding(verdict=Verdict.OK, subject="catalogue", what=vault.catalog.where)
            yield from _events(vault, clock)
            for tier in settings.tiers:
                yield from _tier(vault, tier)
            yield from _base(vault)
            yield from _interrupted(vault)
    except RepositoryError as error:
        yield _wrong("catalogue", error)


def _events(vault: "Vault", clock: Clock) -> Iterator[Finding]:
    newest = vault.catalog.list_events(limit=1)
    if newest and newest[0].at > clock.now() + CLOCK_TOLERANCE:
        yield Finding(
            verdict=Verdict.WRONG,
            subject="clock",
            what=f"the newest event is from {newest[0].at.isoformat()}, in the future",
            next_step="set the clock",
        )


def _tier(vault: "Vault", tier: "Tier") -> Iterator[Finding]:
    subject = f"tier {tier.name}"
    try:
        usage = vault.bare_tier(tier).usage()
    except TierError as error:
        yield _wrong(subject, error)
        return
    if usage.free_bytes is None or usage.total_bytes is None:
        yield Finding(verdict=Verdict.OK, subject=subject, what=tier.where)
        return
    low = usage.free_bytes < LOW_SPACE_SHARE * usage.total_bytes
    full = usage.free_bytes <= vault.settings.ingest.reserve_bytes
    yield Finding(
        verdict=Verdict.WRONG if full else Verdict.WARNING if low else Verdict.OK,
        subject=subject,
        what=f"{tier.where}, {usage.free_bytes:,} of {usage.total_bytes:,} bytes free",
        next_step="add space" if low or full else None,
    )


def _base(vault: "Vault") -> Iterator[Finding]:
    from jindang.vault import open_known_base

    if vault.settings.base is None:
        return
    try:
        open_known_base(vault.settings, vault.catalog, stop=vault.stop)
    except RepositoryError as error:
        yield _wrong("backup base", error)
    else:
        yield Finding(verdict=Verdict.OK, subject="backup base", what=vault.settings.base.repository)


def _interrupted(vault: "Vault") -> Iterator[Finding]:
    from repository.ocfl.staging import is_alive

    try:
        root = vault.primary.root
    except TierError:
        return
    dead = [intent for intent in vault.catalog.intents() if not is_alive(root.path, intent.session)]
    if dead:
        yield Finding(
            verdict=Verdict.WARNING,
            subject="interrupted work",
            what=f"{len(dead)} versions were being put into place when something was stopped",
            next_step="the next `jindang ingest` finishes or undoes them; nothing acknowledged is lost",
        )
