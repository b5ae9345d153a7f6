"""Durable ingest beside its peers, in one run, in turns.

    python benchmarks/ingest.py [--rounds 5] [--scale 1.0] [--where FOLDER] [--only NAME] [--write] [CORPUS ...]

In each round every tool takes in the same corpus once, one after the other, so that what happens to the machine
happens to all. Not timed: making the corpus, reading it (the page cache is warm for all), making the empty vault or
repository, and a sync before each start. Delete nothing on the same file system in the five minutes before.
"""

import argparse
import os
import shlex
import shutil
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

import corpora
import report
from measure import Measurement, run
from tools import TOOLS, Tool

OURS, LIMIT = TOOLS[0].name, "limit"
MEMORY_TARGET_BYTES = 250_000_000
LIMIT_TARGET = 1.5
FEW_FILES = 100
"""Results of corpora with more files are removed only at the very end: for five minutes ext4 avoids inodes that were
just deleted, and searching for others makes everybody who creates files several times slower than he would be."""
Results = dict[str, list["Round"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One tool's run in one round, and how long a sync took right after it: what it had left undone."""

    run: Measurement
    sync_seconds: float

    @property
    def seconds(self) -> float:
        """The tool's own wall time."""
        return self.run.seconds


def measure_corpus(recipe: corpora.Recipe, tools: list[Tool], *, where: Path, rounds: int) -> Results:
    """Run every tool on a corpus, in turns, and give each one's measurements in the order of the rounds."""
    corpus = corpora.make(recipe, where)
    results: Results = {tool.name: [] for tool in tools}
    for number in range(1, rounds + 1):
        for tool in tools:
            work = where / "work" / f"{recipe.name}-{number}-{tool.name.split()[0]}"
            measured = measure_once(tool, corpus, work, recipe.total_bytes)
            if recipe.files <= FEW_FILES:
                shutil.rmtree(work)
            results[tool.name].append(measured)
            shown = f"{measured.seconds:7.2f} s {measured.run.peak_memory_bytes / 1e6:6.0f} MB"
            print(f"  {recipe.name} round {number}: {tool.name:16} {shown}", file=sys.stderr)
    return results


def measure_once(tool: Tool, corpus: Path, work: Path, total_bytes: int) -> Round:
    """One run in an empty folder, with its result looked at."""
    work.mkdir(parents=True)
    job = tool.prepare(corpus, work)
    corpora.read_all(corpus)
    os.sync()
    measured = run(job.argv, cwd=work, environment=job.environment)
    synced = run(["sync", "-f", str(work)], cwd=work)
    job.check(measured.output)
    stored = sum(path.stat().st_size for path in job.result.rglob("*") if path.is_file())
    if stored < total_bytes:
        raise SystemExit(f"{tool.name} left {stored} bytes in {job.result}, less than the corpus's {total_bytes}")
    return Round(run=measured, sync_seconds=synced.seconds)


def rows_of(recipe: corpora.Recipe, results: Results) -> list[list[str]]:
    """The table's rows for one corpus."""
    rows = []
    for name, measured in results.items():
        seconds = [one.seconds for one in measured]
        ratio = report.spread(ratios(results, name)) if name != OURS and OURS in results else ""
        rate = recipe.total_bytes / 1e6 / statistics.median(seconds)
        memory = max(one.run.peak_memory_bytes for one in measured) / 1e6
        left = statistics.median(one.sync_seconds for one in measured)
        rows.append([recipe.name, name, report.spread(seconds), f"{left:.2f}", f"{rate:.0f}", ratio, f"{memory:.0f}"])
    return rows


def ratios(results: Results, name: str) -> list[float]:
    """Ours divided by another's time, round by round: below 1, ours took less."""
    return [ours.seconds / other.seconds for ours, other in zip(results[OURS], results[name], strict=True)]


def verdicts(results: dict[str, Results]) -> list[str]:
    """The targets, and whether they were met."""
    lines = []
    for corpus, found in results.items():
        if OURS not in found:
            continue
        peak = max(one.run.peak_memory_bytes for one in found[OURS])
        met = "met" if peak < MEMORY_TARGET_BYTES else "NOT met"
        lines.append(f"- {corpus}: peak memory below 250 MB: {met} ({peak / 1e6:.0f} MB)")
        if corpus == "S":
            continue  # no target for time
        for name in found:
            if name == OURS:
                continue
            target = LIMIT_TARGET if name == LIMIT else 1.0
            wanted = f"within {LIMIT_TARGET}x of the limit" if name == LIMIT else f"faster than {name}"
            lines.append(f"- {corpus}: {wanted}: {verdict(ratios(found, name), target)}")
    return lines


def verdict(found: list[float], target: float) -> str:
    """Whether ratios are below a target: certain only when those of all rounds agree."""
    met = "met" if statistics.median(found) < target else "NOT met"
    agreed = max(found) < target or min(found) > target
    return f"{met} ({statistics.median(found):.2f}x)" + ("" if agreed else ", by the median only: rounds disagree")


def describe(results: dict[str, Results], tools: list[Tool], arguments: argparse.Namespace, load: float) -> str:
    """The whole section: table, targets, tools, machine, command."""
    rows = []
    for name, found in results.items():
        rows += rows_of(corpora.RECIPES[name].scaled(arguments.scale), found)
    head = ["corpus", "tool", "seconds, median (min-max)", "sync after, s", "MB/s", "ours / it, median (min-max)"]
    head.append("peak memory, MB")
    lines = [
        report.table(head, rows),
        "",
        "Targets:",
        "",
        *verdicts(results),
        "",
        "Corpora, all files incompressible:",
        "",
    ]
    lines += [f"- {name}: {corpora.RECIPES[name].says}" for name in results]
    if arguments.scale != 1:
        lines.append(f"- all scaled by {arguments.scale}: a trial, no result")
    lines += ["", "Tools:", ""]
    for tool in tools:
        durable = "durable" if tool.durable else "not durable"
        lines.append(f"- {tool.name} {tool.version()}, {durable}: {tool.says}")
    command = shlex.join(["python", "benchmarks/ingest.py", *shown_arguments(arguments)])
    how = f"Medians of {arguments.rounds} rounds, page cache warm for all; load before the start {load:.1f}. "
    how += f"{report.today()}."
    lines += ["", f"{how} Machine: {report.machine(arguments.where)}. Command: `{command}`."]
    return "\n".join(lines)


def shown_arguments(arguments: argparse.Namespace) -> list[str]:
    """The arguments that matter for the figures, without folders of this machine."""
    shown = [f"--rounds={arguments.rounds}"]
    if arguments.scale != 1:
        shown.append(f"--scale={arguments.scale}")
    return [*shown, *arguments.names]


def main() -> None:
    """Measure, print, and write if told to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="CORPUS", help=f"of {', '.join(corpora.RECIPES)}; default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the full size, for a trial")
    parser.add_argument("--where", type=Path, default=corpora.DEFAULT_FOLDER, help="folder to work in")
    parser.add_argument("--only", action="append", metavar="TOOL", help="a part of a tool's name; may be repeated")
    parser.add_argument("--write", action="store_true", help="put the result into docs/reference/benchmarks.md")
    arguments = parser.parse_args()
    if arguments.write and (arguments.scale != 1 or arguments.only):
        parser.error("only a whole measurement may be written: without --scale and --only")
    arguments.where = arguments.where.resolve()
    arguments.where.mkdir(parents=True, exist_ok=True)
    tools = [tool for tool in TOOLS if not arguments.only or any(part in tool.name for part in arguments.only)]
    shutil.rmtree(arguments.where / "work", ignore_errors=True)
    load = os.getloadavg()[0]
    results: dict[str, Results] = {}
    for name in arguments.names or corpora.RECIPES:
        recipe = corpora.RECIPES[name].scaled(arguments.scale)
        results[name] = measure_corpus(recipe, tools, where=arguments.where, rounds=arguments.rounds)
        if arguments.write:
            report.write("ingest", describe(results, tools, arguments, load))
    print(describe(results, tools, arguments, load))
    shutil.rmtree(arguments.where / "work")


if __name__ == "__main__":
    main()
