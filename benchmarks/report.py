"""Tables in Markdown, the machine in a sentence, and the place in the documents where they go."""

import datetime as dt
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "benchmarks.md"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first two are set to the right."""
    rule = ["---" if column < 2 else "---:" for column in range(len(head))]  # noqa: PLR2004
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])


def spread(values: Sequence[float], *, digits: int = 2) -> str:
    """The median, and in brackets the least and the greatest."""
    median, least, most = statistics.median(values), min(values), max(values)
    return f"{median:.{digits}f} ({least:.{digits}f}-{most:.{digits}f})"


def machine(folder: Path) -> str:
    """Cores, processor, memory, kernel, Python, and what the folder lies on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB memory, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {_disk(folder)}"
    )


def today() -> str:
    """The date, in UTC."""
    return dt.datetime.now(dt.UTC).date().isoformat()


def write(section: str, text: str) -> None:
    """Put a text between the markers of a section of docs/reference/benchmarks.md.

    Raises:
        SystemExit: the page has no such markers.
    """
    page = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {section}: begin -->\n", f"<!-- {section}: end -->"
    if begin not in page or end not in page:
        raise SystemExit(f"{PAGE} has no markers for {section}")
    before, rest = page.split(begin, 1)
    after = rest.split(end, 1)[1]
    PAGE.write_text(f"{before}{begin}{text.strip()}\n{end}{after}", encoding="utf-8")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _disk(folder: Path) -> str:
    """The file system of a folder, and whether its disk says that it turns."""
    best, kind, device = "", "unknown file system", ""
    place = str(folder.resolve())
    for line in Path("/proc/mounts").read_text().splitlines():
        source, point, name = line.split()[:3]
        if (place == point or place.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind, device = point, name, source
    number = folder.stat().st_dev
    block = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    for flag in (block / "queue" / "rotational", block.resolve().parent / "queue" / "rotational"):
        if flag.exists():
            turns = "rotational" if flag.read_text().strip() == "1" else "solid state"
            virtual = "virtual disk, which says " if Path(device).name.startswith(("vd", "xvd")) else ""
            return f"{kind} on {Path(device).name} ({virtual}{turns})"
    return kind
