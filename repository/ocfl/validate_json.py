"""JSON that is not trusted: repeated keys are kept in mind, and nothing that it says can crash the reader."""

import json
import re
from collections import Counter
from typing import Any, Final, NoReturn

from repository.errors import IntegrityError

MAX_NUMBER_CHARS: Final = 32
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


class JsonObject(dict[str, Any]):
    """A JSON object that remembers which of its keys occurred more than once; the last value counts."""

    __slots__ = ("repeated",)

    repeated: tuple[str, ...]


class JsonError(IntegrityError):
    """The bytes are not JSON as RFC 8259 has it."""


def load_json(data: bytes) -> Any:
    """Read a JSON document; its objects are JsonObject.

    Args:
        data: UTF-8, without a byte order mark.

    Raises:
        JsonError: bad UTF-8, bad JSON, NaN or Infinity, a number of absurd length, nesting too deep to read,
            or text that is not Unicode (lone surrogates).
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JsonError(f"it is not UTF-8 text: byte {error.start} cannot be read") from None
    try:
        document = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_fraction,
        )
    except json.JSONDecodeError as error:
        raise JsonError(f"it is not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise JsonError("it is nested too deeply to be an inventory") from None
    if _SURROGATE_ESCAPE.search(text):
        _refuse_surrogates(document)
    return document


def digests_occurring_twice(block: JsonObject) -> list[str]:
    """Keys, in lower case, that an object has more than once when upper and lower case are the same."""
    counts = Counter(key.lower() for key in block)
    return sorted({key.lower() for key in block.repeated} | {key for key, count in counts.items() if count > 1})


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    found = JsonObject(pairs)
    found.repeated = ()
    if len(found) != len(pairs):
        found.repeated = tuple(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise JsonError(f"it is not JSON: {name} is no value")


def _integer(digits: str) -> int:
    if len(digits) > MAX_NUMBER_CHARS:
        raise JsonError("it has a number of absurd length")
    return int(digits)


def _fraction(digits: str) -> float:
    if len(digits) > MAX_NUMBER_CHARS:
        raise JsonError("it has a number of absurd length")
    return float(digits)


def _refuse_surrogates(document: Any) -> None:
    """Escapes can name half a character, which no file name and no UTF-8 file can hold."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                raise JsonError("it has text that is not Unicode (half of a surrogate pair)") from None
