"""bagit.txt: which version of BagIt a bag follows, and how its tag files are encoded."""

import re
from dataclasses import dataclass

from repository.packages.findings import Findings
from repository.packages.names import shown
from repository.packages.tag_text import known_encoding

OLDEST = (0, 93)
NEWEST = (1, 0)
_BAG_INFO_SINCE = (0, 96)  # package-info.txt before
_LABELS = ("BagIt-Version", "Tag-File-Character-Encoding")
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})", re.ASCII)
_SHAPE = "exactly two lines, `BagIt-Version: M.N` and `Tag-File-Character-Encoding: NAME`"
_MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Declaration:
    """What bagit.txt says: the version as two numbers, and the codec's name."""

    version: tuple[int, int]
    encoding: str

    @property
    def is_strict(self) -> bool:
        """Whether this is BagIt 1.0 (RFC 8493), which forbids what the drafts before it left open."""
        return self.version >= NEWEST

    @property
    def bag_info_name(self) -> str:
        """The name of the file of metadata in this version; package-info.txt up to 0.95."""
        return "bag-info.txt" if self.version >= _BAG_INFO_SINCE else "package-info.txt"

    def __str__(self) -> str:
        """The version, as 0.97."""
        return f"{self.version[0]}.{self.version[1]}"


def read_declaration(content: bytes, findings: Findings) -> Declaration | None:
    """Read bagit.txt.

    Args:
        content: all its bytes.
        findings: takes everything that is wrong with it.

    Returns: what it declares; None where so little can be understood that the other tag files cannot be read.
    Source: RFC 8493 section 2.1.1; the drafts of 0.93 to 0.97 ask for the same two lines.
    """
    if content.startswith(b"\xef\xbb\xbf"):
        findings.error("bagit.txt begins with a byte-order mark: save it as UTF-8 without one (RFC 8493, 2.1.1)")
        content = content[3:]
    try:
        text = content[:_MAX_BYTES].decode()
    except UnicodeDecodeError:
        findings.error("bagit.txt is not UTF-8 text, which it is in every bag: write it again")
        return None
    found, oddities = _entries(text, findings)
    declaration = _declaration(found, findings)
    for oddity in oddities:
        problem = f"bagit.txt has {oddity}: it must be {_SHAPE} (RFC 8493, 2.1.1)"
        (findings.error if declaration is None or declaration.is_strict else findings.warn)(problem)
    return declaration


def _entries(text: str, findings: Findings) -> tuple[dict[str, str], list[str]]:
    """Label -> value, and what is odd but can be understood."""
    found: dict[str, str] = {}
    oddities: list[str] = []
    rows = re.split(r"\r\n|\r|\n", text)
    while rows and not rows[-1]:
        rows.pop()
    for row in rows:
        before, _, after = row.partition(":")
        label, value = before.strip(), after.strip()
        if label not in _LABELS:
            oddities.append(f"a line that does not belong there, {shown(row)}")
            continue
        if before != label:
            findings.error(f"bagit.txt has a space beside the label {label}: write `{label}: {value}`")
        if after != f" {value}":
            oddities.append(f"unusual spaces in the line {shown(row)}")
        if label in found:
            oddities.append(f"{label} twice")
        found.setdefault(label, value)
    if list(found) == list(reversed(_LABELS)):
        oddities.append("its two lines in the wrong order")
    return found, oddities


def _declaration(found: dict[str, str], findings: Findings) -> Declaration | None:
    version = _version(found.get(_LABELS[0]), findings)
    declared = found.get(_LABELS[1])
    if declared is None:
        findings.error(f"bagit.txt does not say {_LABELS[1]}: it must be {_SHAPE}")
        return None
    encoding = known_encoding(declared)
    if encoding is None:
        findings.error(f"bagit.txt declares the character encoding {shown(declared)}, which is not known here")
    return None if version is None or encoding is None else Declaration(version, encoding)


def _version(declared: str | None, findings: Findings) -> tuple[int, int] | None:
    if declared is None:
        findings.error(f"bagit.txt does not say {_LABELS[0]}: it must be {_SHAPE}")
        return None
    match = _VERSION.fullmatch(declared)
    if match is None:
        findings.error(f"bagit.txt gives {shown(declared)} as the BagIt version, which is not of the form M.N")
        return None
    version = (int(match[1]), int(match[2]))
    if not OLDEST <= version <= NEWEST:
        findings.error(f"bagit.txt says BagIt version {declared}; 0.93 to 1.0 can be read here")
        return None
    return version
