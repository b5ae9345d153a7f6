"""Builds packages for tests: good, odd and hostile ones, as folders and as archives, byte by byte."""

import gzip
import hashlib
import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Files = dict[str, bytes]

REFERENCE_CODE = "J019-WS·2015·D30-003-005"
PAYLOAD: Mapping[str, bytes] = {"page-0001.txt": b"first page\n", "annex/page-0002.txt": b"second page\n"}
ODD_NAMES = (
    "two words.txt",
    " leading and trailing ",
    "quote'and\"quote.txt",
    "line\nfeed.txt",
    "carriage\rreturn.txt",
    "100%.txt",
    "100%25.txt",
    "a%0Ab.txt",
    "😀.txt",
    "档案/案卷一/页·1.tif",
    f"{REFERENCE_CODE}.pdf",
    "n" * 200,
    "文" * 66 + ".t",
    "*star.txt",
    "~tilde.txt",
    "-rf",
    "$(reboot)",
    ".hidden",
    "tab\there.txt",
    "con.txt",
    "back\\slash.txt",
)


def hex_digest(algorithm: str, content: bytes) -> str:
    return hashlib.new(algorithm, content).hexdigest()


def percent_encode(path: str) -> str:
    """As BagIt 1.0 asks: %, CR and LF, and nothing else."""
    return path.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def manifest(
    files: Mapping[str, bytes],
    algorithm: str,
    *,
    separator: str = "  ",
    prefix: str = "",
    write: Callable[[str], str] = percent_encode,
) -> str:
    rows = (f"{hex_digest(algorithm, files[path])}{separator}{prefix}{write(path)}\n" for path in sorted(files))
    return "".join(rows)


def declaration(version: str = "1.0", encoding: str = "UTF-8") -> bytes:
    return f"BagIt-Version: {version}\nTag-File-Character-Encoding: {encoding}\n".encode()


def oxum(files: Mapping[str, bytes]) -> str:
    payload = [content for path, content in files.items() if path.startswith("data/")]
    return f"{sum(map(len, payload))}.{len(payload)}"


def seal(files: Files, *algorithms: str, encoding: str = "utf-8", **how: str) -> Files:
    """Write the tag manifests again, over everything that is no payload."""
    for name in [name for name in files if name.startswith("tagmanifest-")]:
        del files[name]
    tags = {path: content for path, content in files.items() if not path.startswith("data/")}
    for algorithm in algorithms:
        files[f"tagmanifest-{algorithm}.txt"] = manifest(tags, algorithm, **how).encode(encoding)
    return files


def bag(
    payload: Mapping[str, bytes] = PAYLOAD,
    *,
    version: str = "1.0",
    encoding: str = "UTF-8",
    algorithms: Sequence[str] = ("sha512",),
    info: str | None = None,
    tag_manifests: bool = True,
    extra: Mapping[str, bytes] | None = None,
    **how: str,
) -> Files:
    """A valid bag of the version; `how` goes to its manifests, `extra` are further tag files."""
    data = {f"data/{path}": content for path, content in payload.items()}
    files: Files = {"bagit.txt": declaration(version, encoding), **data, **(extra or {})}
    write = percent_encode if version == "1.0" else str
    for algorithm in algorithms:
        files[f"manifest-{algorithm}.txt"] = manifest(data, algorithm, write=write, **how).encode(encoding)
    name = "package-info.txt" if version < "0.96" else "bag-info.txt"
    text = f"Source-Organization: 天津市档案馆\nPayload-Oxum: {oxum(files)}\n" if info is None else info
    if text:
        files[name] = text.encode(encoding, "replace")
    return seal(files, *algorithms, encoding=encoding) if tag_manifests else files


def write_folder(root: Path, files: Mapping[str, bytes]) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return root


def write_zip(
    path: Path, files: Mapping[str, bytes], *, top: str = "bag/", method: int = zipfile.ZIP_DEFLATED
) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(top + name), content, method)
    return path


def write_tar(
    path: Path,
    files: Mapping[str, bytes],
    *,
    top: str = "bag/",
    extra: Iterable[tarfile.TarInfo] = (),
    pax: bool = True,
) -> Path:
    """A tar archive; with gzip where the name ends in gz. `extra` are entries without content."""
    form = tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w", format=form) as archive:
        for name, content in files.items():
            archive.addfile(tar_entry(top + name, size=len(content)), io.BytesIO(content))
        for entry in extra:
            archive.addfile(entry)
    return path


def tar_entry(name: str, *, size: int = 0, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.type, entry.linkname = size, kind, target
    return entry


ARCHIVES: Mapping[str, Callable[[Path, Mapping[str, bytes]], Path]] = {
    "zip": write_zip,
    "tar": write_tar,
    "tar.gz": write_tar,
    "tgz": write_tar,
}


@dataclass(frozen=True, slots=True)
class RawEntry:
    """An entry of a ZIP archive with every field as one likes."""

    name: bytes
    content: bytes = b""
    flags: int = 0
    method: int = 0
    mode: int = 0o100644
    declared: int | None = None
    crc: int | None = None
    extra: bytes = b""

    def local(self) -> bytes:
        packed = self.packed()
        return self._fields(b"PK\x03\x04", packed) + self.name + self.extra + packed

    def packed(self) -> bytes:
        if self.method != zipfile.ZIP_DEFLATED:
            return self.content
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        return packer.compress(self.content) + packer.flush()

    def _fields(self, signature: bytes, packed: bytes) -> bytes:
        size = len(self.content) if self.declared is None else self.declared
        crc = zlib.crc32(self.content) if self.crc is None else self.crc
        made_by = struct.pack("<H", 0x0314) if signature == b"PK\x01\x02" else b""
        fields = (20, self.flags, self.method, 0, 0x21, crc, len(packed), size, len(self.name), len(self.extra))
        return signature + made_by + struct.pack("<HHHHHIIIHH", *fields)

    def central(self, offset: int) -> bytes:
        rest = struct.pack("<HHHII", 0, 0, 0, self.mode << 16, offset)
        return self._fields(b"PK\x01\x02", self.packed()) + rest + self.name + self.extra


def raw_zip(entries: Sequence[RawEntry], *, same_place: bool = False) -> bytes:
    """A ZIP archive, byte by byte; with `same_place` all entries share the content of the first."""
    body, central = b"", b""
    for number, entry in enumerate(entries):
        offset = 0 if same_place else len(body)
        if number == 0 or not same_place:
            body += entry.local()
        central += entry.central(offset)
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, len(entries), len(entries), len(central), len(body), 0)
    return body + central + end


def raw_entries(files: Mapping[str, bytes], top: str = "bag/") -> list[RawEntry]:
    return [RawEntry((top + name).encode(), content) for name, content in files.items()]


def gzip_bytes(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def names_on_disk(root: Path) -> list[str]:
    return sorted(os.path.relpath(Path(folder) / name, root) for folder, _, names in os.walk(root) for name in names)
