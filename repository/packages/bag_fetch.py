"""fetch.txt: files that the sender left out. Nothing is ever fetched here; the files must be there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from repository.packages.bag_declaration import Declaration
from repository.packages.bag_manifest import PAYLOAD
from repository.packages.bag_paths import PathFinder
from repository.packages.findings import Findings
from repository.packages.names import shown
from repository.packages.tag_text import lines

FETCH_NAME = "fetch.txt"
_SPACE = re.compile(r"[ \t]+")
_FIELDS = 3
_SIZE = re.compile(r"-|\d{1,20}", re.ASCII)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.+", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What fetch.txt lists: the files that are there, and path -> URL of those that are not."""

    present: frozenset[str]
    absent: Mapping[str, str]


NOTHING = Fetched(frozenset(), {})


def read_fetch(
    content: bytes, declaration: Declaration, finder: PathFinder, sizes: Mapping[str, int], findings: Findings
) -> Fetched:
    """Read fetch.txt.

    Args:
        content: all its bytes.
        declaration: gives the encoding and how strict to be.
        finder: finds the files that are meant.
        sizes: path -> bytes, for files that fetch.txt gives a length for.
        findings: takes malformed lines, dangerous paths and malformed URLs as problems.

    Source: RFC 8493 section 2.2.3.
    """
    present: set[str] = set()
    absent: dict[str, str] = {}
    for number, line in lines(content, declaration.encoding, file_name=FETCH_NAME, findings=findings):
        if not line.strip():
            continue
        where = f"{FETCH_NAME} line {number}"
        fields = _SPACE.split(line, maxsplit=_FIELDS - 1)
        if len(fields) < _FIELDS or not all(field.strip() for field in fields):
            findings.error(f"{where} is not of the form `URL LENGTH PATH`: {shown(line)}")
            continue
        url, size, written = fields
        if not _SIZE.fullmatch(size):
            findings.error(f"{where} gives {shown(size)} as a length; it must be a number of bytes or -")
        if not _URL.fullmatch(url):
            findings.error(f"{where} gives {shown(url)} as a URL, which is not one")
        if (plain := finder.plain(written, where)) is None:
            continue
        if not plain.startswith(PAYLOAD):
            report = findings.error if declaration.is_strict else findings.warn
            report(f"{where} lists {shown(plain)}, which is not payload (not below data/)")
        path = finder.find(plain, where)
        if path is None:
            absent[plain] = url
            continue
        present.add(path)
        if size.isdecimal() and int(size) != sizes.get(path):
            findings.warn(
                f"{where} gives {size} bytes for {shown(path)}, which has {sizes.get(path)}",
                kind="lengths in fetch.txt",
            )
    return Fetched(frozenset(present), absent)
