"""bag-info.txt (package-info.txt up to 0.95): what the depositor says of the bag, and the payload's size."""

import re

from repository.packages.bag_declaration import Declaration
from repository.packages.findings import Findings
from repository.packages.names import shown
from repository.packages.tag_text import lines

_OXUM = re.compile(r"(\d{1,20})\.(\d{1,20})", re.ASCII)
_ONCE = ("bagging-date", "bag-size", "bag-group-identifier", "bag-count")

Tags = dict[str, tuple[str, ...]]


def read_bag_info(content: bytes, declaration: Declaration, findings: Findings) -> Tags:
    """Read the metadata of a bag.

    Args:
        content: all bytes of the file.
        declaration: gives the file's name, its encoding and how strict to be.
        findings: takes what is wrong.

    Returns: label as written -> its values in order; a continued value has its lines joined by one space.
    Source: RFC 8493 section 2.2.2.
    """
    name = declaration.bag_info_name
    tags: dict[str, list[list[str]]] = {}
    label: str | None = None
    for number, line in lines(content, declaration.encoding, file_name=name, findings=findings):
        if not line.strip():
            continue
        if line[0] in " \t" and label is not None:
            tags[label][-1].append(line.strip())
            continue
        before, colon, value = line.partition(":")
        label = before.strip()
        if not colon or not label:
            findings.error(f"{name} line {number} is not of the form `Label: value`: {shown(line)}")
            label = None
            continue
        if label != before:
            report = findings.error if declaration.is_strict else findings.warn
            report(f"{name} line {number} has a space beside its label, {shown(before)}: write `{label}:`")
        tags.setdefault(label, []).append([value.strip()])
    return {label: tuple(" ".join(parts).strip() for parts in values) for label, values in tags.items()}


def check_bag_info(tags: Tags, name: str, files: int, size_bytes: int, findings: Findings) -> None:
    """Compare Payload-Oxum with the payload, and tell of what is there more often than it may be.

    Args:
        tags: of the bag; reserved labels are compared without regard to case.
        name: of the file of metadata.
        files: number of payload files.
        size_bytes: of all payload files together.
        findings: takes what is wrong.

    Source: RFC 8493 section 2.2.2.
    """
    reserved: dict[str, list[str]] = {}
    for label, values in tags.items():
        reserved.setdefault(label.lower(), []).extend(values)
    for label in _ONCE:
        if len(reserved.get(label, ())) > 1:
            findings.warn(f"{name} has {label.title()} more than once")
    oxums = list(dict.fromkeys(reserved.get("payload-oxum", ())))
    if len(reserved.get("payload-oxum", ())) > 1:
        findings.warn(f"{name} has Payload-Oxum more than once")
    for oxum in oxums:
        match = _OXUM.fullmatch(oxum)
        if match is None:
            findings.error(f"{name} has the Payload-Oxum {shown(oxum)}, which is not of the form BYTES.FILES")
        elif (int(match[1]), int(match[2])) != (size_bytes, files):
            findings.error(
                f"{name} says that the payload has {match[1]} bytes in {match[2]} files (Payload-Oxum), but it has "
                f"{size_bytes} bytes in {files} files: have the bag sent or made again"
            )
