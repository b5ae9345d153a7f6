"""Storage layouts: where in a storage root an object lies, computed from its identifier.

The layouts are the OCFL community extensions 0002, 0003, 0004, 0006 and 0007; parameters carry the names and
the defaults that these documents give them.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final

from repository.errors import ConfigError, InvalidInputError
from repository.hashing import ALGORITHMS

LAYOUT_FILE: Final = "ocfl_layout.json"
EXTENSIONS_DIRECTORY: Final = "extensions"

HASH_ALGORITHMS: Final = (
    "md5", "sha1", "sha256", "sha512", "blake2b-512",
    "blake2b-160", "blake2b-256", "blake2b-384", "sha512/256",
)  # fmt: skip
"""What a layout may hash identifiers with: OCFL 1.1 section 3.4 and extension 0009, which also has `size`."""

_MAX_NAME_BYTES = 255
_MAX_TUPLES = 32
_MAX_ENCODED_CHARS = 100
_PRINTABLE_ASCII = range(0x20, 0x80)
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


class Layout(ABC):
    """Maps every object identifier to one path below the storage root.

    Every layout MUST give the same path for the same identifier, and MUST refuse an identifier whose path would
    leave the storage root, collide with the root's own files, or not be storable on common file systems.
    """

    __slots__ = ()

    extension: ClassVar[str]
    description: ClassVar[str]

    def object_path(self, object_id: str) -> str:
        """The object's root directory, relative to the storage root, with `/` between the names.

        Raises:
            InvalidInputError: this layout has no place for this identifier.
        """
        try:
            elements = self._elements(object_id, object_id.encode())
        except UnicodeEncodeError:
            raise self._refusal(object_id, "it is not valid Unicode text") from None
        problem = _path_problem(elements)
        if problem:
            raise self._refusal(object_id, problem)
        return "/".join(elements)

    def config(self) -> dict[str, Any]:
        """The parameters, as the extension's `config.json` holds them."""
        parameters = {name: getattr(self, attribute) for attribute, name in _parameter_names(type(self)).items()}
        return {"extensionName": self.extension, **parameters}

    def config_bytes(self) -> bytes:
        """The content of `extensions/<extension>/config.json`."""
        return _json_bytes(self.config())

    def layout_bytes(self) -> bytes:
        """The content of `ocfl_layout.json` (OCFL 1.1 section 4.1)."""
        return _json_bytes({"extension": self.extension, "description": self.description})

    @abstractmethod
    def _elements(self, object_id: str, encoded: bytes) -> list[str]:
        """The names of the directories, from the storage root down; not yet checked."""

    @abstractmethod
    def _problems(self) -> list[str]:
        """What the extension forbids in these parameters; their types are right already."""

    def _refusal(self, object_id: str, why: str) -> InvalidInputError:
        return InvalidInputError(
            f"The storage layout {self.extension} has no place for this identifier",
            where=repr(object_id),
            why=why,
            next_step="give the object another identifier, or use the layout 0003-hash-and-id-n-tuple-storage-layout",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatDirectLayout(Layout):
    """The identifier is the directory's name. Source: extension 0002."""

    extension: ClassVar[str] = "0002-flat-direct-storage-layout"
    description: ClassVar[str] = (
        "Each object lies directly in the storage root, in a directory named by its identifier"
    )

    def _elements(self, object_id: str, encoded: bytes) -> list[str]:  # noqa: ARG002 - as every layout
        return [object_id]

    def _problems(self) -> list[str]:
        return []


@dataclass(frozen=True, slots=True, kw_only=True)
class HashAndIdLayout(Layout):
    """Directories from the identifier's digest, then the percent-encoded identifier. Source: extension 0003."""

    extension: ClassVar[str] = "0003-hash-and-id-n-tuple-storage-layout"
    description: ClassVar[str] = "Directories from the digest of the identifier, then one named by the identifier"
    digest_algorithm: str = "sha256"
    tuple_size: int = 3
    number_of_tuples: int = 3

    def _elements(self, object_id: str, encoded: bytes) -> list[str]:  # noqa: ARG002 - as every layout
        digest = _hex_digest(self.digest_algorithm, encoded)
        name = "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02x}" for byte in encoded)
        if len(name) > _MAX_ENCODED_CHARS:
            name = f"{name[:_MAX_ENCODED_CHARS]}-{digest}"
        return [*_tuples(digest, self.tuple_size, self.number_of_tuples), name]

    def _problems(self) -> list[str]:
        return _hashed_tuple_problems(self.digest_algorithm, self.tuple_size, self.number_of_tuples)


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedLayout(Layout):
    """Directories from the identifier's digest alone. Source: extension 0004."""

    extension: ClassVar[str] = "0004-hashed-n-tuple-storage-layout"
    description: ClassVar[str] = "Directories from the digest of the identifier, the last named by the digest"
    digest_algorithm: str = "sha256"
    tuple_size: int = 3
    number_of_tuples: int = 3
    short_object_root: bool = False

    def _elements(self, object_id: str, encoded: bytes) -> list[str]:  # noqa: ARG002 - as every layout
        digest = _hex_digest(self.digest_algorithm, encoded)
        used = self.tuple_size * self.number_of_tuples if self.short_object_root else 0
        return [*_tuples(digest, self.tuple_size, self.number_of_tuples), digest[used:]]

    def _problems(self) -> list[str]:
        problems = _hashed_tuple_problems(self.digest_algorithm, self.tuple_size, self.number_of_tuples)
        used = self.tuple_size * self.number_of_tuples
        if not problems and self.short_object_root and used == _hex_chars(self.digest_algorithm):
            problems.append("shortObjectRoot must be false, because the tuples use the whole digest up")
        return problems


@dataclass(frozen=True, slots=True, kw_only=True)
class FlatOmitPrefixLayout(Layout):
    """The identifier without its prefix is the directory's name. Source: extension 0006."""

    extension: ClassVar[str] = "0006-flat-omit-prefix-storage-layout"
    description: ClassVar[str] = "Each object lies directly in the storage root, named by its identifier less a prefix"
    delimiter: str = ""

    def _elements(self, object_id: str, encoded: bytes) -> list[str]:  # noqa: ARG002 - as every layout
        return [_without_prefix(object_id, self.delimiter)]

    def _problems(self) -> list[str]:
        return [] if self.delimiter else ["delimiter must be given; it has no default"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OmitPrefixLayout(Layout):
    """Directories from the identifier without its prefix, then that. Source: extension 0007."""

    extension: ClassVar[str] = "0007-n-tuple-omit-prefix-storage-layout"
    description: ClassVar[str] = "Directories from the identifier less a prefix, the last named by it"
    delimiter: str = ":"
    tuple_size: int = 3
    number_of_tuples: int = 3
    zero_padding: str = "left"
    reverse_object_root: bool = False

    def _elements(self, object_id: str, encoded: bytes) -> list[str]:
        if any(byte not in _PRINTABLE_ASCII for byte in encoded):
            raise self._refusal(object_id, "the extension allows ASCII characters only")
        name = _without_prefix(object_id, self.delimiter)
        wanted_chars = self.tuple_size * self.number_of_tuples
        padded = name.rjust(wanted_chars, "0") if self.zero_padding == "left" else name.ljust(wanted_chars, "0")
        source = padded[::-1] if self.reverse_object_root else padded
        return [*_tuples(source, self.tuple_size, self.number_of_tuples), name]

    def _problems(self) -> list[str]:
        problems = [] if self.delimiter else ["delimiter must not be empty"]
        problems += _range_problems(1, tupleSize=self.tuple_size, numberOfTuples=self.number_of_tuples)
        if self.zero_padding not in ("left", "right"):
            problems.append("zeroPadding must be left or right")
        return problems


LAYOUTS: Final[Mapping[str, type[Layout]]] = {
    layout.extension: layout
    for layout in (FlatDirectLayout, HashAndIdLayout, HashedLayout, FlatOmitPrefixLayout, OmitPrefixLayout)
}
"""Extension name -> layout."""


def layout_for(name: str, config: Mapping[str, Any] | None = None) -> Layout:
    """The layout of this extension with these parameters.

    Args:
        name: the registered name of the extension, for instance `0003-hash-and-id-n-tuple-storage-layout`.
        config: the parameters by the names of the extension's document; what is left out has its default.

    Raises:
        ConfigError: the extension is not known here, or its parameters are not what it allows; all problems
            at once.
    """
    kind = LAYOUTS.get(name)
    if kind is None:
        raise ConfigError(
            "This storage layout is not known",
            where=repr(name),
            problems=(f"use one of {', '.join(LAYOUTS)}",),
        )
    given = dict(config or {})
    problems: list[str] = []
    if given.pop("extensionName", name) != name:
        problems.append(f"extensionName must be {name}")
    attributes = {parameter: attribute for attribute, parameter in _parameter_names(kind).items()}
    defaults = kind()
    problems += [f"{key} is not a parameter of this layout" for key in given if key not in attributes]
    values = {attributes[key]: value for key, value in given.items() if key in attributes}
    for attribute, value in values.items():
        expected = type(getattr(defaults, attribute))
        if type(value) is not expected:  # exact, because True is an int
            problems.append(f"{_camel_case(attribute)} must be {_TYPE_WORDS[expected]}")
    if problems:
        raise ConfigError("The parameters of the storage layout cannot be used", where=name, problems=tuple(problems))
    layout = kind(**values)
    problems = layout._problems()  # noqa: SLF001 - of this module
    if problems:
        raise ConfigError("The parameters of the storage layout cannot be used", where=name, problems=tuple(problems))
    return layout


def read_layout(layout_json: bytes, read_config: Callable[[str], bytes | None], *, where: str) -> Layout:
    """The layout that a storage root declares.

    Args:
        layout_json: content of `ocfl_layout.json`.
        read_config: gives the content of the extension's `config.json`, or None when there is no such file.
        where: the storage root, for messages.

    Raises:
        ConfigError: the root declares a layout that cannot be used here.
    """
    extension = _json_object(layout_json, f"{where}/{LAYOUT_FILE}").get("extension")
    if not isinstance(extension, str) or extension not in LAYOUTS:
        raise ConfigError(
            "The storage root declares a layout that is not known",
            where=f"{where}/{LAYOUT_FILE}",
            problems=(f"extension is {extension!r}; known are {', '.join(LAYOUTS)}",),
        )
    config_json = read_config(extension)
    config = {} if config_json is None else _json_object(config_json, f"{where}/{config_path(extension)}")
    return layout_for(extension, config)


def config_path(extension: str) -> str:
    """Where an extension's parameters lie in a storage root."""
    return f"{EXTENSIONS_DIRECTORY}/{extension}/config.json"


def _json_object(data: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ConfigError("A file of the storage root is not JSON", where=where, problems=(str(error),)) from None
    if not isinstance(value, dict):
        raise ConfigError("A file of the storage root is not a JSON object", where=where)
    return value


def _parameter_names(kind: type[Layout]) -> dict[str, str]:
    """Attribute -> the parameter's name in the extension's document."""
    return {item.name: _camel_case(item.name) for item in fields(kind)}  # type: ignore[arg-type]


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


_TYPE_WORDS: Final = {str: "a text", int: "a whole number", bool: "true or false"}


def _tuples(text: str, size: int, count: int) -> list[str]:
    return [text[index * size : (index + 1) * size] for index in range(count)]


def _hex_digest(algorithm: str, data: bytes) -> str:
    hasher = ALGORITHMS[algorithm]()
    hasher.update(data)
    return hasher.hexdigest()


def _hex_chars(algorithm: str) -> int:
    return len(_hex_digest(algorithm, b""))


def _range_problems(least: int, **values: int) -> list[str]:
    return [
        f"{name} must be between {least} and {_MAX_TUPLES}"
        for name, value in values.items()
        if not least <= value <= _MAX_TUPLES
    ]


def _hashed_tuple_problems(algorithm: str, size: int, count: int) -> list[str]:
    problems = _range_problems(0, tupleSize=size, numberOfTuples=count)
    if (size == 0) != (count == 0):
        problems.append("tupleSize and numberOfTuples must both be 0, or neither")
    if algorithm not in HASH_ALGORITHMS:
        problems.append(f"digestAlgorithm must be one of {', '.join(HASH_ALGORITHMS)}")
    elif not problems and size * count > _hex_chars(algorithm):
        problems.append(f"tupleSize times numberOfTuples must not exceed {_hex_chars(algorithm)}, the digest's length")
    return problems


def _without_prefix(object_id: str, delimiter: str) -> str:
    """What follows the last delimiter, upper and lower case alike; all of it where there is none."""
    width = len(delimiter)
    wanted = delimiter.lower()
    for start in range(len(object_id) - width, -1, -1):
        if object_id[start : start + width].lower() == wanted:
            return object_id[start + width :]
    return object_id


def _path_problem(elements: list[str]) -> str | None:
    """Why a path must not be used below a storage root; None when it may."""
    for element in elements:
        if not element:
            return "a directory would have an empty name"
        if element in (".", ".."):
            return "a directory would be named with dots alone"
        if "/" in element or "\0" in element:
            return "a directory's name would hold a slash or a null character"
        if len(element.encode()) > _MAX_NAME_BYTES:
            return f"a directory's name would be longer than {_MAX_NAME_BYTES} bytes"
    if elements[0] in (EXTENSIONS_DIRECTORY, LAYOUT_FILE) or elements[0].startswith("0=ocfl"):
        return f"{elements[0]} is a name that the storage root uses itself"
    return None


def _json_bytes(document: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(document, ensure_ascii=False, indent=2)}\n".encode()
