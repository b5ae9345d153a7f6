"""`jindang ingest`: take in packages."""

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jindang.cli.invocation import Command, Invocation

if TYPE_CHECKING:
    from repository.ingest.request import Format, IngestOutcome, IngestRequest
    from repository.ingest.run import IngestRun


@click.command(cls=Command, name="ingest")
@click.argument("packages", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--id", "identifier", metavar="ID", help="Identifier of the object, for one package")
@click.option(
    "--meta",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Metadata: YAML or JSON, or CSV with a row for each package",
)
@click.option(
    "--format",
    "package_format",
    type=click.Choice(["auto", "folder", "bagit"]),
    default="auto",
    show_default=True,
    help="What the packages are",
)
@click.option("--dry-run", is_flag=True, help="Check everything, write nothing")
@click.option("--workers", type=click.IntRange(1, 256), help="Processes that read and hash")
def command(
    invocation: Invocation,
    packages: tuple[Path, ...],
    identifier: str | None,
    meta: Path | None,
    *,
    package_format: "Format",
    dry_run: bool,
    workers: int | None,
) -> int:
    """Take in packages: folders of files, or BagIt bags as a folder, .zip, .tar or .tar.gz.

    Each package becomes one object, or a new version of it. The same package again changes nothing. What is wrong
    with a package is told, nothing of it is kept, and the others go on. When a package is reported as taken in, its
    content is on the medium and in the catalogue.

    Without --meta, a file PACKAGE.yaml or PACKAGE.json next to the package is used.
    """
    from repository.ingest.run import IngestRun

    requests = make_requests(packages, identifier=identifier, meta=meta, package_format=package_format)
    with invocation.open_vault() as vault:
        run = IngestRun(
            vault.catalog,
            vault.primary.root,
            tier=vault.settings.primary.name,
            rules=vault.ingest_rules(),
            workers=workers or vault.settings.ingest.workers or os.cpu_count() or 1,
            clock=invocation.clock,
            stop=invocation.begin_long_work(),
            dry_run=dry_run,
        )
        outcomes: list[dict[str, Any]] = []
        counts: Counter[str] = Counter()
        for outcome in _with_progress(invocation, run, requests):
            plain = _plain(outcome)
            counts[outcome.status] += 1
            if invocation.as_json or not outcome.is_acknowledged:
                outcomes.append(plain)
            _tell(invocation, outcome, dry_run=dry_run)
        bad = [plain for plain in outcomes if "error" in plain]
        report = None if dry_run or not bad else _write_report(vault.settings.data / "reports", bad, invocation)
    said = ", ".join(f"{status}: {count:,}" for status, count in sorted(counts.items()))
    invocation.say(f"{'Would be: ' if dry_run else ''}{said}")
    if report:
        invocation.say(f"What was not taken in, and why: {report}")
    invocation.answer({"dry_run": dry_run, "counts": counts, "packages": outcomes, "report": report and str(report)})
    return _exit_code(bad)


def make_requests(
    packages: Sequence[Path], *, identifier: str | None, meta: Path | None, package_format: "Format"
) -> "list[IngestRequest]":
    """One request for each package, with the metadata that belongs to it.

    Raises:
        InvalidInputError: the metadata file cannot be used, or cannot belong to these packages.
    """
    from repository.errors import InvalidInputError
    from repository.ingest.metadata_file import metadata_beside, read_metadata_file
    from repository.ingest.request import IngestRequest

    given = read_metadata_file(meta) if meta else {}
    shared = given.get("", {})
    if len(packages) > 1 and (identifier or "identifier" in shared):
        raise InvalidInputError(
            "One identifier cannot be given to several packages",
            where=identifier or meta,
            next_step="name one package, or give a CSV file with a column `identifier`",
        )
    unknown = set(given) - {""} - {package.name for package in packages}
    if unknown and len(unknown) == len(given):
        raise InvalidInputError(
            "The metadata file has none of these packages", where=meta, next_step="compare its column `package`"
        )
    requests = []
    for package in packages:
        beside = None if meta else metadata_beside(package)
        values = given.get(package.name, shared) if meta else read_metadata_file(beside)[""] if beside else {}
        requests.append(
            IngestRequest(
                source=package,
                format=package_format,
                identifier=identifier,
                metadata=values,
                metadata_source=meta or beside,
            )
        )
    return requests


def _with_progress(
    invocation: Invocation, run: "IngestRun", requests: "list[IngestRequest]"
) -> "Iterator[IngestOutcome]":
    """The outcomes, with a progress line on a terminal."""
    from jindang.cli.progress import ByteProgress

    with (
        ByteProgress.on_terminal(invocation, "Ingesting") as bar,
        contextlib.closing(run.ingest(requests)) as outcomes,
    ):
        bar.watch(
            lambda: (run.progress.read_bytes, run.progress.expected_bytes(len(requests))) if run.progress else (0, 0)
        )
        yield from outcomes


def _tell(invocation: Invocation, outcome: "IngestOutcome", *, dry_run: bool) -> None:
    if outcome.error is not None:
        explained = str(outcome.error).replace("\n", "\n  ")
        click.echo(f"{outcome.status}: {outcome.source}\n  {explained}", err=True)
        return
    prefix = invocation.settings.institution.prefix
    name = outcome.object_id.local(prefix) if outcome.object_id else ""
    would = "would be " if dry_run else ""
    invocation.say(
        f"{would}{outcome.status}: {name} v{outcome.version}, {outcome.files:,} files, {outcome.size_bytes:,} bytes"
    )
    for warning in outcome.warnings:
        invocation.say(f"  warning: {warning}")


def _plain(outcome: "IngestOutcome") -> dict[str, Any]:
    plain: dict[str, Any] = {"package": str(outcome.source), "status": outcome.status}
    if outcome.error is not None:
        return {**plain, "error": outcome.error.as_json(), "exit_code": outcome.error.exit_code}
    return {
        **plain,
        "id": str(outcome.object_id),
        "version": outcome.version,
        "files": outcome.files,
        "size_bytes": outcome.size_bytes,
        "stored_bytes": outcome.stored_bytes,
        "warnings": list(outcome.warnings),
    }


def _write_report(folder: Path, bad: list[dict[str, Any]], invocation: Invocation) -> Path:
    from repository.durable import tier_errors, write_durable_file

    stamp = invocation.clock.now().strftime("%Y%m%dT%H%M%S.%fZ")
    path = folder / f"ingest-{stamp}.json"
    with tier_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_durable_file(path, json.dumps({"packages": bad}, ensure_ascii=False, indent=1).encode())
    return path


def _exit_code(bad: list[dict[str, Any]]) -> int:
    """4 when a tier or tool failed, since trying again helps; else 1 when a package was refused."""
    if any(plain["status"] == "failed" and plain["exit_code"] == 4 for plain in bad):  # noqa: PLR2004
        return 4
    return 1 if bad else 0
