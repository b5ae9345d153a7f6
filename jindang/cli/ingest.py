"""`jindang ingest`: take in packages."""

import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jindang.cli.invocation import Command, Invocation, json_text
from repository.errors import InvalidInputError, RepositoryError

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

    Without --meta, a file PACKAGE.yaml or PACKAGE.json next to the package is used. `ingest FOLDER/*` is fine: such a
    file is not taken for a package.
    """
    from repository.ingest.workers import start_fork_server

    if workers != 1:
        start_fork_server()
    from repository.ingest.run import IngestRun

    requests, refused = make_requests(packages, identifier=identifier, meta=meta, package_format=package_format)
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
        tally = _Tally(invocation, dry_run=dry_run)
        try:
            for outcome in itertools.chain(refused, _with_progress(invocation, run, requests)):
                tally.add(outcome)
        except RepositoryError as error:
            tally.cut_off = error
        return tally.end(vault.settings.data / "reports")


class _Tally:
    """Tells each outcome as it comes, and all of them at the end."""

    def __init__(self, invocation: Invocation, *, dry_run: bool) -> None:
        self._invocation, self._dry_run = invocation, dry_run
        self._counts: Counter[str] = Counter()
        self._packages: list[dict[str, Any]] = []
        self.cut_off: RepositoryError | None = None
        """Why the run ended before its packages did."""

    def add(self, outcome: "IngestOutcome") -> None:
        """Tell one; without --json only those that went wrong are kept."""
        self._counts[outcome.status] += 1
        if self._invocation.as_json or not outcome.is_acknowledged:
            self._packages.append(_plain(outcome))
        _tell(self._invocation, outcome, dry_run=self._dry_run)

    def end(self, reports: Path) -> int:
        """Tell what it came to, write the report of what went wrong, and give the exit code."""
        bad = [plain for plain in self._packages if "error" in plain]
        report = None if self._dry_run or not bad else self._report(reports, bad)
        said = ", ".join(f"{status}: {count:,}" for status, count in sorted(self._counts.items()))
        self._invocation.say(f"{'Would be: ' if self._dry_run else ''}{said or 'nothing was done'}")
        if report:
            self._invocation.say(f"What was not taken in, and why: {report}")
        answer = {"dry_run": self._dry_run, "counts": self._counts, "packages": self._packages}
        cut_off = self.cut_off and {"cut_off": self.cut_off.as_json()}
        self._invocation.answer({**answer, "report": report and str(report), **(cut_off or {})})
        if self.cut_off is not None:
            click.echo(f"Error: {self.cut_off}", err=True)
            return self.cut_off.exit_code
        return _exit_code(bad)

    def _report(self, folder: Path, bad: list[dict[str, Any]]) -> Path | None:
        """Write what went wrong; where that cannot be written it is told, and does not take the summary's place."""
        try:
            return _write_report(folder, bad, self._invocation)
        except RepositoryError as error:
            click.echo(f"The report of what was not taken in could not be written: {error}", err=True)
            return None


def make_requests(
    packages: Sequence[Path], *, identifier: str | None, meta: Path | None, package_format: "Format"
) -> "tuple[list[IngestRequest], list[IngestOutcome]]":
    """One request for each package, with the metadata that belongs to it; or its refusal, when that cannot be used.

    Raises:
        InvalidInputError: the metadata file named with --meta cannot be used, or cannot belong to these packages.
    """
    from repository.ingest.metadata_file import read_metadata_file
    from repository.ingest.request import IngestOutcome, IngestRequest, IngestStatus

    packages = _without_metadata_files(packages, meta)
    given = read_metadata_file(meta) if meta else {}
    shared = given.get("", {})
    if len(packages) > 1 and (identifier or "identifier" in shared):
        raise InvalidInputError(
            "One identifier cannot be given to several packages",
            where=identifier or meta,
            next_step="name one package, or give a CSV file with a column `identifier`",
        )
    if given and "" not in given and not given.keys() & {package.absolute().name for package in packages}:
        raise InvalidInputError(
            "The metadata file has none of these packages", where=meta, next_step="compare its column `package`"
        )
    requests, refused = [], []
    for package in packages:
        try:
            values, source = _metadata_of(package, meta, given)
        except InvalidInputError as error:
            refused.append(IngestOutcome(source=package, status=IngestStatus.REFUSED, error=error))
            continue
        requests.append(
            IngestRequest(
                source=package,
                format=package_format,
                identifier=identifier,
                metadata=values,
                metadata_source=source,
            )
        )
    return requests, refused


def _without_metadata_files(packages: Sequence[Path], meta: Path | None) -> list[Path]:
    """The packages alone, where a shell's `*` named the files that describe them as well."""
    from repository.ingest.metadata_file import metadata_beside

    described = {metadata_beside(package) for package in packages}
    named = meta and meta.absolute()
    return [package for package in packages if package.absolute() not in described and package.absolute() != named]


def _metadata_of(
    package: Path, meta: Path | None, given: dict[str, dict[str, Any]]
) -> tuple[dict[str, Any], Path | None]:
    """What is said of a package, and in which file."""
    from repository.ingest.metadata_file import metadata_beside, read_metadata_file

    if meta is None:
        beside = metadata_beside(package)
        return (read_metadata_file(beside)[""] if beside else {}), beside
    if "" in given:
        return given[""], meta
    name = package.absolute().name
    if name not in given:
        raise InvalidInputError(
            "The metadata file has no row for this package",
            where=meta,
            why=f"no `package` is {name!r}",
            next_step="add a row with the name of the folder or archive, or take this package in without --meta",
        )
    return given[name], meta


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
        write_durable_file(path, json_text({"packages": bad}).encode())
    return path


def _exit_code(bad: list[dict[str, Any]]) -> int:
    """5 when an object in the repository is damaged; else 4 when a tier or tool failed, since trying again helps;
    else 1 when a package was refused.
    """
    failed = {plain["exit_code"] for plain in bad if plain["status"] == "failed"}
    return next((code for code in (5, 4) if code in failed), 1 if bad else 0)
