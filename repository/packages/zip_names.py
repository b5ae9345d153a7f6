"""Names in ZIP archives: UTF-8 where marked or where the bytes are UTF-8; any other encoding is refused."""

import zlib
from typing import TYPE_CHECKING

from repository.packages.findings import Findings
from repository.packages.names import FIX_ZIP_ENCODING, shown, shown_bytes

if TYPE_CHECKING:
    from zipfile import ZipInfo

_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075
_GUESSES = ("gb18030", "big5", "shift_jis", "cp437")


def entry_name(entry: "ZipInfo", findings: Findings) -> str | None:
    """The name of an entry; None where it is not UTF-8, which is reported with a guess at what it is.

    Without the UTF-8 flag, `zipfile` reads bytes as code page 437; they are taken back here. What the archive says
    in UTF-8 beside such a name (Info-ZIP's Unicode path) counts where its checksum fits.
    Source: PKWARE APPNOTE 6.3.10, 4.4.4 (bit 11) and 4.6.9 (0x7075).
    """
    name = entry.orig_filename
    if entry.flag_bits & _UTF8_FLAG:
        return name
    raw = name.encode("cp437")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        unicode_path = _unicode_path(entry.extra, raw)
    if unicode_path is not None:
        return unicode_path
    findings.error(f"{shown_bytes(raw)} in the archive is not a UTF-8 name{_guess(raw)}: {FIX_ZIP_ENCODING}")
    return None


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """The field 0x7075: version 1, the checksum of the name that it goes with, and the name in UTF-8."""
    while len(extra) >= 4:  # noqa: PLR2004 - two numbers of two bytes
        kind, size = int.from_bytes(extra[:2], "little"), int.from_bytes(extra[2:4], "little")
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and field[:1] == b"\x01" and field[1:5] == zlib.crc32(raw).to_bytes(4, "little"):
            try:
                return field[5:].decode()
            except UnicodeDecodeError:
                return None
    return None


def _guess(raw: bytes) -> str:
    for encoding in _GUESSES:
        try:
            return f" (perhaps {encoding.upper()}: {shown(raw.decode(encoding))})"
        except UnicodeDecodeError:
            continue
    return ""
