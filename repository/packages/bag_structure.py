"""What a bag says of itself, read from its tag files and compared with the files that are there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from repository.packages.bag_declaration import Declaration, read_declaration
from repository.packages.bag_fetch import FETCH_NAME, NOTHING, Fetched, read_fetch
from repository.packages.bag_info import Tags, check_bag_info, read_bag_info
from repository.packages.bag_manifest import MANIFEST_NAME, PAYLOAD, Manifest, ManifestReader, check_strength
from repository.packages.bag_paths import PathFinder
from repository.packages.findings import FatalFindingError, Findings
from repository.packages.listing import CollisionPolicy
from repository.packages.names import shown
from repository.packages.package import Limits, PackageFile
from repository.packages.source import Source

DECLARATION_NAME = "bagit.txt"
TAG_FILES = frozenset({DECLARATION_NAME, "bag-info.txt", "package-info.txt", FETCH_NAME})
_SYSTEM_FILES = re.compile(
    r"(?i)(?:.*/)?(?:thumbs\.db|desktop\.ini|\.ds_store|\._[^/]*|\.spotlight-v100(?:/.*)?|\.trashes(?:/.*)?|"
    r"\.fseventsd(?:/.*)?|\$recycle\.bin/.*)"
)


def is_tag_file(path: str) -> bool:
    """Whether a path, relative to the bag, is a tag file that must be read to understand the bag."""
    return path in TAG_FILES or MANIFEST_NAME.fullmatch(path) is not None


@dataclass(frozen=True, slots=True)
class BagStructure:
    """A bag's own statements.

    Attributes:
        declaration: version and encoding.
        tags: of bag-info.txt.
        manifests: payload manifests and tag manifests, sorted by name.
    """

    declaration: Declaration
    tags: Tags
    manifests: tuple[Manifest, ...]

    def algorithms_for(self, path: str) -> tuple[str, ...]:
        """The digests that some manifest asks of this file."""
        return tuple({manifest.algorithm: None for manifest in self.manifests if path in manifest.digests})

    @property
    def payload_algorithms(self) -> tuple[str, ...]:
        """The algorithms of the payload manifests, sorted."""
        return tuple(sorted({manifest.algorithm for manifest in self.manifests if not manifest.is_tag}))

    def mismatches(self, path: str, digests: Mapping[str, str]) -> list[str]:
        """Where the digests of what was read differ from the manifests, one text for each."""
        problems = []
        for manifest in self.manifests:
            expected = manifest.digests.get(path)
            found = digests.get(manifest.algorithm)
            if expected is not None and found != expected.hex():
                problems.append(
                    f"{shown(path)} is not what {manifest.name} says: its {manifest.algorithm} must be "
                    f"{expected.hex()} and is {found or 'not known'}: have the bag sent again"
                )
        return problems


def read_structure(
    source: Source, collisions: CollisionPolicy, limits: Limits, findings: Findings
) -> BagStructure | None:
    """Read all tag files of a bag and check that it is complete; no payload is read.

    Args:
        source: the listed files.
        collisions: what names mean that some file systems take for the same.
        limits: bounds the tag files' size.
        findings: takes everything that is wrong.

    Returns: None where the bag cannot be understood; then a problem says why.
    Source: RFC 8493 sections 2 and 3.
    """
    sizes = {file.path: file.size_bytes for file in source.files}
    tag_files = {file.path: file for file in source.files if "/" not in file.path and is_tag_file(file.path)}
    if sum(file.size_bytes for file in tag_files.values()) > limits.max_tag_bytes:
        findings.error(f"The bag's manifests and tag files are larger than {limits.max_tag_bytes:,} bytes together")
        raise FatalFindingError
    if DECLARATION_NAME not in tag_files:
        findings.error(
            "There is no bagit.txt, so that this is not a BagIt bag: hand it in as a folder, or complete it"
        )
        return None
    declaration = read_declaration(source.tag_content(tag_files[DECLARATION_NAME]), findings)
    if declaration is None:
        return None
    tags: Tags = {}
    if declaration.bag_info_name in tag_files:
        tags = read_bag_info(source.tag_content(tag_files[declaration.bag_info_name]), declaration, findings)
    finder = PathFinder(sizes, declaration, findings)
    reader = ManifestReader(declaration, finder, collisions, findings)
    read = [reader.read(name, source.tag_content(tag_files[name])) for name in _manifest_names(tag_files)]
    structure = BagStructure(declaration, tags, tuple(manifest for manifest in read if manifest is not None))
    fetched = NOTHING
    if FETCH_NAME in tag_files:
        content = source.tag_content(tag_files[FETCH_NAME])
        fetched = read_fetch(content, declaration, finder, sizes, findings)
    _check_payload(structure, sizes, source.empty_folders, findings, has_payload_manifest=_has_payload(tag_files))
    _check_complete(structure, sizes, fetched, finder, findings)
    return structure


def _manifest_names(tag_files: Mapping[str, PackageFile]) -> list[str]:
    return sorted(name for name in tag_files if MANIFEST_NAME.fullmatch(name))


def _has_payload(tag_files: Mapping[str, PackageFile]) -> bool:
    return any(not name.lower().startswith("tag") for name in _manifest_names(tag_files))


def _check_payload(
    structure: BagStructure,
    sizes: Mapping[str, int],
    empty_folders: tuple[str, ...],
    findings: Findings,
    *,
    has_payload_manifest: bool,
) -> None:
    payload = [path for path in sizes if path.startswith(PAYLOAD)]
    if not payload and not any(f"{folder}/".startswith(PAYLOAD) for folder in empty_folders):
        findings.error("There is no folder data/, where the payload of a bag is: have the bag made again")
    elif not payload:
        findings.warn("The bag has no payload: data/ is empty")
    if not has_payload_manifest:
        findings.error("There is no payload manifest (manifest-sha512.txt or the like): have the bag made again")
    name = structure.declaration.bag_info_name
    check_bag_info(structure.tags, name, len(payload), sum(sizes[path] for path in payload), findings)
    check_strength(structure.manifests, findings)
    for path in payload:
        if _SYSTEM_FILES.fullmatch(path):
            findings.warn(
                f"{shown(path)} is a file that the computer made for itself; it is kept as payload", kind="such files"
            )


def _check_complete(
    structure: BagStructure, sizes: Mapping[str, int], fetched: Fetched, finder: PathFinder, findings: Findings
) -> None:
    """Every listed file is there, and every payload file is listed (RFC 8493 section 3)."""
    missing: dict[str, list[str]] = {}
    for manifest in structure.manifests:
        for path in manifest.missing:
            missing.setdefault(path, []).append(manifest.name)
    for path, names in missing.items():
        findings.error(_missing_text(path, names, fetched, finder))
    for path, url in fetched.absent.items():
        if path not in missing:
            findings.error(_to_fetch_text(path, url))
    payload_manifests = [manifest for manifest in structure.manifests if not manifest.is_tag]
    if payload_manifests:
        _check_listed(payload_manifests, sizes, structure.declaration, findings)
    _check_tag_manifests(structure, sizes, findings)


def _missing_text(path: str, manifests: list[str], fetched: Fetched, finder: PathFinder) -> str:
    if path in fetched.absent:
        return _to_fetch_text(path, fetched.absent[path])
    hint = ""
    if similar := finder.similar(path):
        hint = f" (there is {shown(similar)}: the names must be the same)"
    return f"{shown(path)} is listed in {' and '.join(manifests)} but is not there{hint}: have the bag sent again"


def _to_fetch_text(path: str, url: str) -> str:
    return (
        f"{shown(path)} is not there; fetch.txt says that it must still be fetched from {shown(url)}, and nothing is "
        "fetched here: have the depositor complete the bag"
    )


def _check_listed(
    manifests: list[Manifest], sizes: Mapping[str, int], declaration: Declaration, findings: Findings
) -> None:
    partly = dict.fromkeys((manifest.name for manifest in manifests), 0)
    for path in sizes:
        if not path.startswith(PAYLOAD):
            continue
        without = [manifest.name for manifest in manifests if path not in manifest.digests]
        if len(without) == len(manifests):
            findings.error(
                f"{shown(path)} is in data/ but no payload manifest lists it: have the bag made again, or remove the "
                "file if it does not belong there"
            )
        elif without and declaration.is_strict:
            findings.error(
                f"{shown(path)} is not listed in {' and '.join(without)}; since BagIt 1.0 every payload manifest "
                "must list every payload file"
            )
        for name in without:
            partly[name] += 1
    for name, count in partly.items():
        if count and not declaration.is_strict and len(manifests) > 1:
            findings.warn(f"{name} does not list {count} of the payload files")


def _check_tag_manifests(structure: BagStructure, sizes: Mapping[str, int], findings: Findings) -> None:
    payload_manifests = [manifest.name for manifest in structure.manifests if not manifest.is_tag]
    tag_manifests = [manifest for manifest in structure.manifests if manifest.is_tag]
    report = findings.error if structure.declaration.is_strict else findings.warn
    for manifest in tag_manifests:
        for name in payload_manifests:
            if name not in manifest.digests:
                report(f"{manifest.name} does not list {name}, as every tag manifest must (RFC 8493, 2.2.1)")
    if not tag_manifests:
        return
    names = {manifest.name for manifest in tag_manifests}
    unlisted = sorted(
        path
        for path in sizes
        if not path.startswith(PAYLOAD)
        and path not in names
        and not any(path in manifest.digests for manifest in tag_manifests)
    )
    if unlisted:
        named = ", ".join(shown(path) for path in unlisted[:5]) + (", ..." if len(unlisted) > 5 else "")  # noqa: PLR2004
        findings.warn(f"No tag manifest lists {named}: changes of these tag files cannot be noticed")
