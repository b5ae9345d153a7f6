"""`jindang backup run | list | check | compact | export-key`: the backup base."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jindang.cli.invocation import Command, Invocation, duration_text, size_text

if TYPE_CHECKING:
    from jindang.vault import Vault
    from replication.base.archives import Archive
    from replication.base.backup_base import BackupBase
    from replication.base.run import BatchOutcome


@click.group(name="backup")
def command() -> None:
    """Archive on the backup base what it is owed, list and check what it has."""


@command.command(cls=Command, name="run")
@click.option("--limit-bytes", metavar="N", help="Begin no batch after so much, with a unit as `200 GiB`")
def run(invocation: Invocation, limit_bytes: str | None) -> int:
    """Archive every version that the base does not have yet, and read each archive back before it counts.

    With each archive go the catalogue and the configuration; when nothing is new, these alone. It can be stopped and
    run again at any time. The exit code is 5 when something could not be archived whole.
    """
    from replication.base.run import BackupRun

    with invocation.open_vault() as vault:
        stop = invocation.begin_long_work()
        vault.place_all()
        base = _base(vault, invocation)
        began_s = invocation.clock.monotonic_s()
        backup = BackupRun(
            vault.catalog,
            base,
            vault.primary.root,
            configuration=invocation.config_path,
            agent=vault.agent,
            clock=invocation.clock,
            stop=stop,
        )
        batches = []
        for batch in backup.run(limit_bytes=invocation.parse_bytes(limit_bytes)):
            batches.append(_plain_batch(batch))
            _tell(invocation, vault, batch)
        lost = _tell_comparison(base, vault, invocation)
    invocation.answer(
        {
            "archives": batches,
            "elapsed_s": round(invocation.clock.monotonic_s() - began_s, 3),
            "missing_archives": lost,
        }
    )
    return 5 if lost or any(batch["failed"] for batch in batches) else 0


def _tell(invocation: Invocation, vault: "Vault", batch: "BatchOutcome") -> None:
    if batch.archive is not None and batch.stats is not None:
        invocation.say(
            f"{batch.archive.name}: {len(batch.done):,} versions, {size_text(batch.stats.original_bytes)}; "
            f"the base grew by {size_text(batch.stats.stored_bytes)}, {size_text(batch.read_back_bytes)} read back"
        )
    for transfer, error in batch.failed:
        explained = str(error).replace("\n", "\n  ")
        name = vault.readable(transfer.object_id)
        click.echo(f"not archived: {name} v{transfer.version}\n  {explained}", err=True)


def _plain_batch(batch: "BatchOutcome") -> dict[str, Any]:
    return {
        "archive": batch.archive and asdict(batch.archive),
        "versions": [{"id": t.object_id.uri, "version": t.version} for t in batch.done],
        "failed": [{"id": t.object_id.uri, "version": t.version, **e.as_json()} for t, e in batch.failed],
        "read_back_bytes": batch.read_back_bytes,
    }


@command.command(cls=Command, name="list")
def list_archives(invocation: Invocation) -> int:
    """List the archives on the base, and compare them with those that we made.

    The exit code is 5 when one that we made is gone or is another one.
    """
    with invocation.open_vault() as vault:
        stop = invocation.begin_long_work()
        base = _base(vault, invocation)
        known = {archive.name: archive for archive in vault.catalog.archives.all()}
        present = base.archives(stop=stop)
        lost = _tell_comparison(base, vault, invocation)
    invocation.table(
        ("archive", "made", "versions", "the base grew by"),
        [
            (
                archive.name,
                archive.created,
                f"{known[archive.name].versions:,}" if archive.name in known else "not ours",
                size_text(known[archive.name].stored_bytes) if archive.name in known else None,
            )
            for archive in present
        ],
        right=("versions", "the base grew by"),
    )
    invocation.say(f"{len(present):,} archives")
    invocation.answer({"archives": [asdict(archive) for archive in present], "missing_archives": lost})
    return 5 if lost else 0


@command.command(cls=Command, name="check")
@click.option(
    "--depth",
    type=click.Choice(["repository", "archives", "data"]),
    default="repository",
    show_default=True,
    help="Checksums of the repository; that all archives have what they need; that every byte decrypts",
)
@click.option("--max-minutes", type=click.IntRange(1), help="Stop after so long; the next check goes on (repository)")
def check(invocation: Invocation, depth: str, max_minutes: int | None) -> int:
    """Have the base checked, and compare its archives with those that we made. Nothing is repaired.

    The exit code is 5 when something is damaged or gone.
    """
    from replication.base.check import CheckDepth

    with invocation.open_vault() as vault:
        stop = invocation.begin_long_work()
        base = _base(vault, invocation)
        began_s = invocation.clock.monotonic_s()
        report = base.check(CheckDepth(depth), max_duration_s=max_minutes and max_minutes * 60, stop=stop)
        lost = _tell_comparison(base, vault, invocation)
    for problem in report.problems:
        click.echo(f"damaged: {problem}", err=True)
    took = duration_text(invocation.clock.monotonic_s() - began_s)
    verdict = "no damage found" if report.ok else f"{len(report.problems)} problems"
    unfinished = "" if report.complete else "; the time was up, the next check goes on from here"
    invocation.say(f"Checked at depth {depth} in {took}: {verdict}{unfinished}")
    invocation.answer({**asdict(report), "missing_archives": lost})
    return 0 if report.ok and not lost else 5


@command.command(cls=Command, name="compact")
def compact(invocation: Invocation) -> int:
    """Delete old archives of the catalogue by the keep rules, and free their space. Needs the key of maintenance.

    Archives of records are never deleted. Nothing is done while archives that we made are missing (exit code 5).
    """
    from replication.base.archives import KeepRules, archives_to_prune

    with invocation.open_vault() as vault:
        stop = invocation.begin_long_work()
        base = _base(vault, invocation)
        settings = vault.settings.base
        rules = KeepRules(**settings.keep.model_dump()) if settings else KeepRules()
        known = _known(vault)
        doomed = archives_to_prune(known, rules)
        base.prune_catalogue_archives(rules, known, stop=stop)
        vault.catalog.archives.forget(archive.name for archive in doomed)
        freed = base.compact(_known(vault), stop=stop)
    invocation.say(f"{len(doomed)} archives of the catalogue deleted; {freed}")
    invocation.answer({"deleted": [archive.name for archive in doomed], "freed": freed})
    return 0


@command.command(cls=Command, name="export-key")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def export_key(invocation: Invocation, folder: Path) -> int:
    """Write the base's key into FOLDER: to import, on paper, and as a picture to scan.

    Keep it far from here, and the passphrase in other hands: with both, everything on the base can be read.
    """
    with invocation.open_vault() as vault:
        stop = invocation.begin_long_work()
        written = _base(vault, invocation).export_key(folder, stop=stop)
    for path in written:
        invocation.say(str(path))
    invocation.answer({"files": [str(path) for path in written]})
    return 0


def _base(vault: "Vault", invocation: Invocation) -> "BackupBase":
    from jindang.vault import open_known_base

    return open_known_base(vault.settings, vault.catalog, stop=invocation.stop)


def _known(vault: "Vault") -> "list[Archive]":
    from replication.base.archives import Archive

    return [Archive(name=each.name, id=each.id, created=each.created) for each in vault.catalog.archives.all()]


def _tell_comparison(base: "BackupBase", vault: "Vault", invocation: Invocation) -> list[str]:
    """Tell what is not as we left it; returns what is gone or was replaced."""
    comparison = base.compare_with_record(_known(vault), stop=invocation.stop)
    for message in comparison.messages():
        click.echo(f"warning: {message}", err=True)
    return [archive.name for archive in (*comparison.lost, *comparison.replaced)]
