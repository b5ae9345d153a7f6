"""The OCFL inventory: what an object holds, in every version of it, and how it is written and read."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from repository.errors import InvalidInputError, InventoryError
from repository.hashing import SIZE

INVENTORY_FILE: Final = "inventory.json"
DEFAULT_CONTENT_DIRECTORY: Final = "content"
CONTENT_ALGORITHMS: Final = ("sha512", "sha256")
"""What OCFL 1.1 section 3.4 allows for content-addressing; the first is preferred."""

SPEC_VERSIONS: Final = ("1.0", "1.1")
"""The releases of the OCFL specification that are known here, oldest first."""

_VERSION_NAME: Final = re.compile(r"v(0*[1-9][0-9]{0,17})", re.ASCII)
_SIDECAR: Final = re.compile(rb"([^ \t\r\n]+)[ \t]+inventory\.json[ \t\r\n]*")


def inventory_type(spec_version: str) -> str:
    """The value of `type` in an inventory of this specification version (OCFL 1.1 section 3.5.1)."""
    return f"https://ocfl.io/{spec_version}/spec/#inventory"


@dataclass(frozen=True, slots=True, order=True)
class VersionNumber:
    """The number of an object's version, and how its directory is named: `v3`, or `v0003` with `width` 4.

    Two version numbers are the same when their numbers are, however they are written.

    Source: OCFL 1.1 section 3.3.
    """

    number: int
    width: int = field(default=0, compare=False)

    def __str__(self) -> str:
        """The name of the version directory."""
        return f"v{self.number:0{self.width}d}"

    @classmethod
    def parse(cls, text: str) -> "VersionNumber":
        """Read the name of a version directory.

        Raises:
            InvalidInputError: it is not `v` and a positive number, with or without leading zeros.
        """
        version = cls.parse_or_none(text)
        if version is None:
            raise InvalidInputError(
                "This is not the name of an object version",
                where=repr(text),
                next_step="write v and the number of the version, for instance v1",
            )
        return version

    @classmethod
    def parse_or_none(cls, text: str) -> "VersionNumber | None":
        """Read the name of a version directory; None when it is no such name."""
        match = _VERSION_NAME.fullmatch(text)
        if match is None:
            return None
        digits = match[1]
        return cls(int(digits), len(digits) if digits.startswith("0") else 0)

    def next(self) -> "VersionNumber":
        """The version after this one, named in the same way.

        Raises:
            InvalidInputError: zero-padded names of this width are used up (`v09` has no successor).
        """
        following = VersionNumber(self.number + 1, self.width)
        if self.width and len(str(following.number)) >= self.width:
            raise InvalidInputError(
                "This object can have no further version",
                where=str(self),
                why=f"its version directories are zero-padded to {self.width} digits and the first must stay a zero",
                next_step="store the new content as a new object",
            )
        return following


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionBlock:
    """What an inventory says of one version.

    Args:
        created: when the version was made, RFC 3339 with a time zone.
        state: digest in lower-case hex -> logical paths.
        message: why the version was made.
        user_name: who made it.
        user_address: a URI for who made it.

    Source: OCFL 1.1 section 3.5.3.1.
    """

    created: str
    state: Mapping[str, tuple[str, ...]]
    message: str | None = None
    user_name: str | None = None
    user_address: str | None = None

    def logical_paths(self) -> dict[str, str]:
        """Logical path -> digest, sorted by path."""
        return dict(sorted((path, digest) for digest, paths in self.state.items() for path in paths))


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What an OCFL object holds. Digests are in lower-case hex throughout.

    Args:
        id: the object's identifier.
        head: the newest version.
        versions: every version up to the head, in order.
        manifest: digest -> content paths, relative to the object root.
        spec_version: `1.0` or `1.1`.
        digest_algorithm: `sha512` or `sha256`.
        content_directory: name of the directory that holds the content inside a version directory.
        content_directory_declared: write the key `contentDirectory` even where it says the default.
        fixity: algorithm -> digest -> content paths; `size` (extension 0009) gives sizes in bytes.

    Source: OCFL 1.1 section 3.5.
    """

    id: str
    head: VersionNumber
    versions: Mapping[VersionNumber, VersionBlock]
    manifest: Mapping[str, tuple[str, ...]]
    spec_version: str = "1.1"
    digest_algorithm: str = "sha512"
    content_directory: str = DEFAULT_CONTENT_DIRECTORY
    content_directory_declared: bool = False
    fixity: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def version(self, number: VersionNumber | None = None) -> VersionBlock:
        """What is said of one version; of the head when none is named.

        Raises:
            InvalidInputError: the object has no such version.
        """
        wanted = self.head if number is None else number
        try:
            return self.versions[wanted]
        except KeyError:
            raise InvalidInputError(
                f"The object has no version {wanted}",
                where=self.id,
                next_step=f"ask for one of v1 to {self.head}",
            ) from None

    def state(self, number: VersionNumber | None = None) -> dict[str, str]:
        """The logical state of a version (the head when none is named): logical path -> digest, sorted."""
        return self.version(number).logical_paths()

    def content_paths(self, digest: str) -> tuple[str, ...]:
        """The files that hold the content with this digest, in any case of its letters; none when unknown."""
        return self.manifest.get(digest.lower(), ())

    def content_path(self, digest: str) -> str:
        """One file that holds the content with this digest.

        Raises:
            InventoryError: the manifest does not name one.
        """
        paths = self.content_paths(digest)
        if not paths:
            raise InventoryError("The inventory names no file for a digest", where=self.id, why=digest)
        return paths[0]

    def digests_by_content_path(self) -> dict[str, str]:
        """Content path -> digest, sorted by path."""
        return dict(sorted((path, digest) for digest, paths in self.manifest.items() for path in paths))

    def content_root(self, number: VersionNumber | None = None) -> str:
        """Where a version keeps its content, relative to the object root: `v1/content`."""
        return f"{self._as_written(number)}/{self.content_directory}"

    def added_content(self, number: VersionNumber | None = None) -> dict[str, str]:
        """What a version added to the storage: content path -> digest, sorted by path."""
        prefix = f"{self._as_written(number)}/"
        return {path: digest for path, digest in self.digests_by_content_path().items() if path.startswith(prefix)}

    def sizes(self) -> dict[str, int]:
        """Content path -> size in bytes, for the files whose size the fixity block gives."""
        return {path: int(size) for size, paths in self.fixity.get(SIZE, {}).items() for path in paths}

    def to_bytes(self) -> bytes:
        """The inventory as it is stored: UTF-8 JSON, the same bytes for the same inventory."""
        return _json_bytes(_document(self))

    def _as_written(self, number: VersionNumber | None) -> VersionNumber:
        """The number with this object's zero-padding, whichever padding the caller used."""
        return VersionNumber((self.head if number is None else number).number, self.head.width)


def sidecar_name(algorithm: str) -> str:
    """The name of the file that states the digest of an inventory (OCFL 1.1 section 3.6)."""
    return f"{INVENTORY_FILE}.{algorithm}"


def sidecar_bytes(inventory_bytes: bytes, algorithm: str) -> bytes:
    """The content of the sidecar of these bytes: the digest, a space, `inventory.json`, a newline.

    Args:
        inventory_bytes: the whole inventory file.
        algorithm: `sha512` or `sha256`.
    """
    return f"{hashlib.new(algorithm, inventory_bytes).hexdigest()} {INVENTORY_FILE}\n".encode()


def read_sidecar(data: bytes) -> str:
    """The digest that a sidecar states, in lower case.

    Raises:
        InventoryError: it does not have the form of OCFL 1.1 section 3.6.
    """
    match = _SIDECAR.fullmatch(data)
    if match is None or not match[1].isascii():
        raise InventoryError(
            "A sidecar of an inventory cannot be read",
            why="E061: it must hold a digest, a space and the words inventory.json, and nothing else",
            next_step="restore the sidecar from another copy of the object",
        )
    return match[1].decode().lower()


def parse_inventory(data: bytes, *, where: str) -> Inventory:
    """Read an inventory that is going to be relied on.

    The same parser serves the validator; here the first error it finds is final.

    Args:
        data: the whole file, from a source that is not trusted.
        where: path or key of the file, for messages.

    Raises:
        InventoryError: the inventory breaks a rule of the specification; `why` begins with its code.
    """
    from repository.ocfl.validate_inventory import examine_inventory

    examined = examine_inventory(data)
    errors = [problem for problem in examined.problems if problem.severity == "error"]
    if errors or examined.inventory is None:
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        why = f"{errors[0].code}: {errors[0].message}{more}" if errors else "E033: it is incomplete"
        raise InventoryError(
            "An OCFL inventory cannot be trusted",
            where=where,
            why=why,
            next_step="run `jindang ocfl validate` on the object, and restore it from another copy",
        )
    return examined.inventory


def _document(inventory: Inventory) -> dict[str, object]:
    document: dict[str, object] = {
        "digestAlgorithm": inventory.digest_algorithm,
        "head": str(inventory.head),
        "id": inventory.id,
        "manifest": _listed(inventory.manifest),
        "type": inventory_type(inventory.spec_version),
        "versions": {
            str(VersionNumber(number.number, inventory.head.width)): _version_document(block)
            for number, block in inventory.versions.items()
        },
    }
    if inventory.content_directory_declared or inventory.content_directory != DEFAULT_CONTENT_DIRECTORY:
        document["contentDirectory"] = inventory.content_directory
    if inventory.fixity:
        document["fixity"] = {algorithm: _listed(block) for algorithm, block in inventory.fixity.items()}
    return document


def _version_document(block: VersionBlock) -> dict[str, object]:
    document: dict[str, object] = {"created": block.created, "state": _listed(block.state)}
    if block.message is not None:
        document["message"] = block.message
    if block.user_name is not None:
        document["user"] = {"name": block.user_name} | (
            {} if block.user_address is None else {"address": block.user_address}
        )
    return document


def _listed(block: Mapping[str, tuple[str, ...]]) -> dict[str, list[str]]:
    return {digest: sorted(paths) for digest, paths in block.items()}


def _json_bytes(document: object) -> bytes:
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True)
    return f"{text}\n".encode()
