"""The text of tag files: decoded as the bag declares, split into lines as RFC 8493 does, a line at a time."""

import codecs
import io
from collections.abc import Iterator

from repository.packages.findings import Findings
from repository.packages.names import shown

_BYTE_ORDER_MARK = "\ufeff"
_BIG_ENDIAN = {"utf-16": "utf-16-be", "utf-32": "utf-32-be"}
_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)


def known_encoding(name: str) -> str | None:
    """The codec for a declared character encoding; None where there is none that makes text of bytes."""
    try:
        "a".encode(name)  # refuses what codecs.lookup knows but is no text encoding, as rot13
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        return None


def lines(content: bytes, encoding: str, *, file_name: str, findings: Findings) -> Iterator[tuple[int, str]]:
    """The lines of a tag file with their numbers from 1; ends where the bytes do not fit the encoding.

    Lines end with LF, CR or CRLF and nothing else (RFC 8493 section 2.1.3). UTF-16 and UTF-32 without a byte-order
    mark are big-endian (RFC 2781 section 4.3). A byte-order mark is left out. Memory: a buffer and one line.
    """
    if encoding in _BIG_ENDIAN and not content.startswith(_MARKS):
        encoding = _BIG_ENDIAN[encoding]
    number = 0
    try:
        for number, line in enumerate(io.TextIOWrapper(io.BytesIO(content), encoding, newline=None), 1):
            text = line.removesuffix("\n")
            if number == 1 and text.startswith(_BYTE_ORDER_MARK):
                text = text[1:]
                if encoding == "utf-8":
                    findings.warn(f"{shown(file_name)} begins with a byte-order mark, which UTF-8 does not need")
            yield number, text
    except (UnicodeError, ValueError) as error:
        findings.error(
            f"{shown(file_name)} is not {encoding} text after line {number} ({error}), although bagit.txt says so: "
            "have the bag made again with the encoding that it declares"
        )
