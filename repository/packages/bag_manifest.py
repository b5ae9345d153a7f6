"""Manifests: which digest every file of a bag must have."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from repository.hashing import ALGORITHMS, MultiHasher
from repository.packages.bag_declaration import Declaration
from repository.packages.bag_paths import PathFinder
from repository.packages.findings import Findings
from repository.packages.listing import CollisionPolicy
from repository.packages.names import shown
from repository.packages.tag_text import lines

MANIFEST_NAME = re.compile(r"(?P<tag>tag)?manifest-(?P<algorithm>[^/]+)\.txt", re.IGNORECASE)
PAYLOAD = "data/"
_SPACE = re.compile(r"[ \t]+")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_NOT_FOR_FILES = {"size", "xxh3-128"}
_WEAK = {"md5", "sha1"}


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


# RFC 8493 section 2.4: in a manifest's name an algorithm is written in lower case, with letters and digits only.
_BY_BARE_NAME = {_bare(name): name for name in ALGORITHMS if name not in _NOT_FOR_FILES} | {"blake2b": "blake2b-512"}


@dataclass(slots=True)
class Manifest:
    """One manifest that was read.

    Attributes:
        name: of its file.
        algorithm: as `repository.hashing` writes it.
        is_tag: a tag manifest, which lists tag files; else a payload manifest.
        digests: path of a file in the bag -> digest that it must have. About 200 bytes for each file.
        missing: paths that are listed, but are no file in the bag.
    """

    name: str
    algorithm: str
    is_tag: bool
    digests: dict[str, bytes] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


class ManifestReader:
    """Reads the manifests of one bag, telling everything that is wrong with them.

    Args:
        declaration: gives the encoding and how strict to be.
        finder: finds the files that are meant.
        collisions: what a file means that is listed twice in two Unicode forms.
        findings: takes problems and warnings.

    Source: RFC 8493 sections 2.1.3 (payload manifests), 2.2.1 (tag manifests) and 2.4 (algorithms).
    """

    def __init__(
        self, declaration: Declaration, finder: PathFinder, collisions: CollisionPolicy, findings: Findings
    ) -> None:
        self._declaration = declaration
        self._finder = finder
        self._findings = findings
        self._report_odd = findings.error if declaration.is_strict else findings.warn
        self._report_forms = findings.error if collisions is CollisionPolicy.REFUSE else findings.warn

    def read(self, name: str, content: bytes) -> Manifest | None:
        """Read a manifest; None where its algorithm is not known, which is reported."""
        match = MANIFEST_NAME.fullmatch(name)
        if match is None or (algorithm := _BY_BARE_NAME.get(_bare(match["algorithm"]))) is None:
            known = ", ".join(_BY_BARE_NAME)
            self._findings.error(
                f"{shown(name)} uses an algorithm that is not known here, so that it cannot be checked: have the bag "
                f"made with sha256 or sha512 (known: {known})"
            )
            return None
        manifest = Manifest(name, algorithm, is_tag=match["tag"] is not None)
        size_bytes = len(MultiHasher([algorithm]).digests()[algorithm]) // 2
        written: dict[str, str] = {}
        encoding = self._declaration.encoding
        for number, line in lines(content, encoding, file_name=name, findings=self._findings):
            if not line.strip():
                continue
            where = f"{name} line {number}"
            if line.startswith("#"):
                self._findings.warn(
                    f"{where} is a comment, which BagIt does not know; it is left out", kind="comments"
                )
                continue
            entry = self._entry(line, where, size_bytes, algorithm)
            if entry is not None:
                self._add(manifest, entry, where, written)
        return manifest

    def _entry(self, line: str, where: str, size_bytes: int, algorithm: str) -> tuple[str, bytes] | None:
        """The path as written and the digest of one line."""
        digest, *rest = _SPACE.split(line.lstrip(" \t"), maxsplit=1)
        if not rest or not rest[0].strip():
            self._findings.error(f"{where} is not of the form `DIGEST PATH`: {shown(line)}")
            return None
        if not _HEX.fullmatch(digest) or len(digest) != 2 * size_bytes:
            self._findings.error(
                f"{where} gives {shown(digest)} as the digest of {shown(rest[0])}, which is not the "
                f"{2 * size_bytes} hexadecimal digits of {algorithm}"
            )
            return None
        return rest[0], bytes.fromhex(digest)

    def _add(self, manifest: Manifest, entry: tuple[str, bytes], where: str, written: dict[str, str]) -> None:
        """Take in one line; `written` keeps the few paths that are not written as the file is called."""
        plain = self._finder.plain(entry[0], where)
        if plain is None:
            return
        path = self._finder.find(plain, where)
        if path is None:
            manifest.missing.append(plain)
            return
        self._check_kind(manifest, path, where)
        before = manifest.digests.setdefault(path, entry[1])
        if before is entry[1]:
            if entry[0] != path:
                written[path] = entry[0]
        elif before != entry[1]:
            self._findings.error(f"{where} lists {shown(path)} again with another digest: have the bag made again")
        elif written.get(path, path) == entry[0]:
            self._report_odd(f"{where} lists {shown(path)} again, with the same digest")
        else:
            self._report_forms(f"{where} lists {shown(path)} again, written in another way: {entry[0]!a}")

    def _check_kind(self, manifest: Manifest, path: str, where: str) -> None:
        if not manifest.is_tag and not path.startswith(PAYLOAD):
            self._report_odd(f"{where} lists {shown(path)}, which is not payload (not below data/)")
        elif manifest.is_tag and path.startswith(PAYLOAD):
            self._findings.warn(
                f"{where} lists {shown(path)}, which is payload and belongs into a payload manifest",
                kind="payload in a tag manifest",
            )


def check_strength(manifests: Iterable[Manifest], findings: Findings) -> None:
    """Say so where nothing stronger than md5 or sha1 protects the payload (RFC 8493 section 6.3)."""
    algorithms = {manifest.algorithm for manifest in manifests if not manifest.is_tag}
    if algorithms and algorithms <= _WEAK:
        named = " and ".join(sorted(algorithms))
        findings.warn(f"The payload is protected by {named} only, which is weak against tampering; sha512 is not")
