"""Measure sending to an object store (a real Ceph RGW, on this machine) beside rclone and the AWS command line.

    python benchmarks/replicate.py                 all corpora, five rounds
    python benchmarks/replicate.py --write         the same, and put the result into docs/reference/benchmarks.md
    python benchmarks/replicate.py --scale 0.1 --rounds 1 P

The peers send each file as an object of its own; ours sends a pack for each volume.
"""

import argparse
import os
import shlex
import shutil
import statistics
import sys
from pathlib import Path

import corpora
import report
from ingest import verdict
from measure import Measurement, run
from store_tools import OURS, STORE_TOOLS, WHOLE, CephServer, StoreTool, fresh_bucket

from tests.doubles.ceph import ceph_server

MEMORY_TARGET_BYTES = 300_000_000
TARGETS = {"P": 0.5, "V": 1.1}
"""Corpus -> what ours may take at most, as a part of the time of the fastest peer."""

Results = dict[str, list[Measurement]]


def measure_corpus(
    recipe: corpora.Recipe, tools: list[StoreTool], ceph: CephServer, *, where: Path, rounds: int
) -> Results:
    """Run every tool on a corpus, in turns, each into an empty bucket."""
    corpus = corpora.make(recipe, where)
    results: Results = {tool.name: [] for tool in tools}
    for number in range(1, rounds + 1):
        for position, tool in enumerate(tools):
            work = where / "work" / f"store-{recipe.name}-{number}-{position}"
            with fresh_bucket(ceph, f"b-{recipe.name.lower()}-{number}-{position}") as bucket:
                job = tool.prepare(corpus, work, ceph, bucket)
                corpora.read_all(corpus)
                os.sync()
                measured = run(job.argv, cwd=work, environment=job.environment)
                job.check(measured.output)
            results[tool.name].append(measured)
            shown = f"{measured.seconds:7.2f} s {measured.peak_memory_bytes / 1e6:6.0f} MB"
            print(f"  {recipe.name} round {number}: {tool.name:22} {shown}", file=sys.stderr, flush=True)
    return results


def peers(results: Results) -> list[str]:
    """The names of the tools that are not ours."""
    return [name for name in results if name not in (OURS, WHOLE)]


def ratios_to_fastest(results: Results) -> list[float]:
    """Ours by the fastest peer of the same round."""
    fastest = [min(results[name][n].seconds for name in peers(results)) for n in range(len(results[OURS]))]
    return [ours.seconds / other for ours, other in zip(results[OURS], fastest, strict=True)]


def rows_of(recipe: corpora.Recipe, results: Results) -> list[list[str]]:
    """The table's rows for one corpus."""
    rows = []
    for name, measured in results.items():
        seconds = [one.seconds for one in measured]
        rate = recipe.total_bytes / 1e6 / statistics.median(seconds)
        memory = max(one.peak_memory_bytes for one in measured) / 1e6
        ratio = ""
        if name in peers(results):
            ratio = report.spread([a.seconds / b.seconds for a, b in zip(results[OURS], measured, strict=True)])
        rows.append([recipe.name, name, report.spread(seconds), f"{rate:.0f}", ratio, f"{memory:.0f}"])
    return rows


def verdicts(results: dict[str, Results]) -> list[str]:
    """The targets, and whether they were met."""
    lines = []
    for corpus, found in results.items():
        peak = max(one.peak_memory_bytes for name in (OURS, WHOLE) for one in found.get(name, ()))
        met = "met" if peak < MEMORY_TARGET_BYTES else "NOT met"
        lines.append(f"- {corpus}: peak memory below 300 MB: {met} ({peak / 1e6:.0f} MB)")
        if corpus in TARGETS and peers(found):
            target = TARGETS[corpus]
            said = verdict(ratios_to_fastest(found), target)
            lines.append(f"- {corpus}: sending takes at most {target} of the time of the fastest peer: {said}")
        if WHOLE in found:
            apart = statistics.median(one.seconds for one in found[WHOLE])
            apart -= statistics.median(one.seconds for one in found[OURS])
            lines.append(f"- {corpus}: reading everything back and recording it takes {apart:.1f} s more")
    return lines


def describe(results: dict[str, Results], tools: list[StoreTool], arguments: argparse.Namespace, load: float) -> str:
    """The whole section: table, targets, tools, machine, command."""
    rows = []
    for name, found in results.items():
        rows += rows_of(corpora.RECIPES[name].scaled(arguments.scale), found)
    head = ["corpus", "tool", "seconds, median (min-max)", "MB/s", "ours / it, median (min-max)", "peak memory, MB"]
    lines = [report.table(head, rows), "", "Targets:", "", *verdicts(results), "", "Tools:", ""]
    lines += [f"- {tool.name} {tool.version()}: {tool.says}" for tool in tools]
    lines += ["- server: Ceph RGW from Debian's packages, one node on the same machine and disk, over HTTP"]
    shown = shlex.join([f"--rounds={arguments.rounds}", *arguments.names])
    how = f"Medians of {arguments.rounds} rounds, page cache warm for all; load before the start {load:.1f}. "
    how += f"{report.today()}."
    lines += [
        "",
        f"{how} Machine: {report.machine(arguments.where)}. Command: `python benchmarks/replicate.py {shown}`.",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write if told to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="CORPUS", default=["P", "V"], help="P, V; default: both")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="a part of the full size, for a trial")
    parser.add_argument("--where", type=Path, default=corpora.DEFAULT_FOLDER, help="folder to work in")
    parser.add_argument("--only", action="append", metavar="TOOL", help="a part of a tool's name; may be repeated")
    parser.add_argument("--write", action="store_true", help="put the result into docs/reference/benchmarks.md")
    arguments = parser.parse_args()
    if arguments.write and (arguments.scale != 1 or arguments.only):
        parser.error("only a whole measurement may be written: without --scale and --only")
    arguments.where = arguments.where.resolve()
    tools = [tool for tool in STORE_TOOLS if not arguments.only or any(part in tool.name for part in arguments.only)]
    shutil.rmtree(arguments.where / "work", ignore_errors=True)
    load = os.getloadavg()[0]
    results: dict[str, Results] = {}
    with ceph_server() as ceph:
        for name in arguments.names:
            recipe = corpora.RECIPES[name].scaled(arguments.scale)
            results[name] = measure_corpus(recipe, tools, ceph, where=arguments.where, rounds=arguments.rounds)
            if arguments.write:
                report.write("replicate", describe(results, tools, arguments, load))
    print(describe(results, tools, arguments, load))
    shutil.rmtree(arguments.where / "work", ignore_errors=True)


if __name__ == "__main__":
    main()
