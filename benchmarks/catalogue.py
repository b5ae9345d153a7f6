"""How fast `jindang list` and `jindang status` answer from a large catalogue.

    python benchmarks/catalogue.py [--objects 300000] [--rounds 5] [--where FOLDER] [--write]

The catalogue is filled through its own functions, a transaction for each thousand objects; the storage stays empty.
"""

import argparse
import hashlib
import shutil
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import corpora
import report
from measure import run
from tools import OURS_BIN

from jindang.config_file import load_settings
from repository.catalog.catalog import Catalog
from repository.model import (
    Event,
    EventOutcome,
    EventType,
    Metadata,
    ObjectId,
    ObjectRecord,
    OpeningStatus,
    Retention,
    SecurityClass,
    VersionRecord,
)

BATCH = 1000
TARGET_S = 1.0
CREATED = datetime(2026, 1, 5, 8, tzinfo=UTC)


def record_of(number: int, prefix: str) -> ObjectRecord:
    """A volume as a city archive has them: 100 pages of 120 KB, with its metadata."""
    name = f"J{number // 3000:03d}-WS·{1950 + number % 70}·D30-{number % 3000:04d}"
    identifier = ObjectId.parse(name, prefix=prefix)
    digest = hashlib.sha512(identifier.uri.encode()).hexdigest()
    version = VersionRecord(
        number=1,
        created=CREATED,
        message="ingested",
        agent="benchmark",
        inventory_digest=digest,
        files=100,
        size_bytes=12_000_000,
        stored_bytes=12_020_000,
    )
    metadata = Metadata(
        title=f"关于第{number}号文件归档工作的通知",
        reference_code=name,
        fonds=name.split("-", maxsplit=1)[0],
        year=1950 + number % 70,
        retention=Retention.PERMANENT,
        security_class=SecurityClass.PUBLIC,
        opening_status=OpeningStatus.OPEN,
        fields={"责任者": "示范馆"},
    )
    path = f"{digest[0:3]}/{digest[3:6]}/{digest[6:9]}/{digest[:64]}"
    return ObjectRecord(id=identifier, object_path=path, metadata=metadata, versions=(version,))


def fill(config: Path, objects: int) -> float:
    """Put that many objects into the catalogue of a new vault, and give the seconds it took."""
    settings = load_settings(config)
    tier = settings.primary.name
    started = time.perf_counter()
    with Catalog(settings.database_url) as catalog:
        for first in range(0, objects, BATCH):
            numbers = range(first, min(first + BATCH, objects))
            records = [record_of(number, settings.institution.prefix) for number in numbers]
            events = [
                Event(
                    type=EventType.INGESTION,
                    at=CREATED,
                    outcome=EventOutcome.SUCCESS,
                    agent="benchmark",
                    object_id=record.id,
                    version=1,
                    tier=tier,
                )
                for record in records
            ]
            catalog.record_objects(records, events, tier=tier)
            if first % 50_000 == 0:
                print(f"  {first + len(records)} of {objects} objects", file=sys.stderr)
    return time.perf_counter() - started


def main() -> None:
    """Fill, measure, print, and write if told to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--where", type=Path, default=corpora.DEFAULT_FOLDER, help="folder to work in")
    parser.add_argument("--write", action="store_true", help="put the result into docs/reference/benchmarks.md")
    arguments = parser.parse_args()
    where = arguments.where.resolve()
    vault = where / "catalogue"
    shutil.rmtree(vault, ignore_errors=True)
    where.mkdir(parents=True, exist_ok=True)
    jindang = str(OURS_BIN / "jindang")
    try:
        subprocess.run([jindang, "init", str(vault)], check=True, stdout=subprocess.DEVNULL)
        config = vault / "jindang.yaml"
        filled_s = fill(config, arguments.objects)
        text = describe(measure(jindang, config, arguments.rounds), arguments, filled_s)
    finally:
        shutil.rmtree(vault, ignore_errors=True)
    print(text)
    if arguments.write:
        report.write("catalogue", text)


def measure(jindang: str, config: Path, rounds: int) -> dict[str, tuple[list[float], int]]:
    """Run each command in turns: what it is called in the table -> seconds of each round, peak memory in bytes."""
    general = [jindang, "--config", str(config)]
    commands = {
        "jindang --help": [jindang, "--help"],
        "jindang status": [*general, "status"],
        "jindang list": [*general, "list"],
        "jindang list --json": [*general, "list", "--json"],
    }
    found: dict[str, tuple[list[float], int]] = {name: ([], 0) for name in commands}
    for _ in range(rounds):
        for name, argv in commands.items():
            measured = run(argv, cwd=config.parent)
            seconds, peak = found[name]
            found[name] = ([*seconds, measured.seconds], max(peak, measured.peak_memory_bytes))
    return found


def describe(found: dict[str, tuple[list[float], int]], arguments: argparse.Namespace, filled_s: float) -> str:
    """The whole section."""
    rows = []
    for name, (seconds, peak) in found.items():
        met = "met" if statistics.median(seconds) < TARGET_S else "NOT met"
        rows.append([f"`{name}`", met, report.spread(seconds), f"{peak / 1e6:.0f}"])
    head = ["command", f"below {TARGET_S:.0f} s", "seconds, median (min-max)", "peak memory, MB"]
    rate = arguments.objects / filled_s
    command = f"python benchmarks/catalogue.py --objects={arguments.objects} --rounds={arguments.rounds}"
    how = (
        f"{arguments.objects:,} objects in SQLite; filled with {rate:,.0f} objects a second, a durable transaction "
        f"for each {BATCH:,}. Each command is a new process. Medians of {arguments.rounds} rounds. {report.today()}."
    )
    return f"{report.table(head, rows)}\n\n{how} Machine: {report.machine(arguments.where)}. Command: `{command}`."


if __name__ == "__main__":
    main()
