"""Reading `jindang.yaml`: every problem at once, each with its line, its path and what is allowed there."""

import functools
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from jindang.config import Secret, Settings
from repository.errors import ConfigError

MAX_CONFIG_BYTES = 1 << 20


def load_settings(path: Path) -> Settings:
    """Read and check a configuration file.

    Raises:
        ConfigError: it cannot be read, or is wrong; `problems` has everything that is wrong, in the file's order.
    """
    root = _read_yaml(path)
    if root is None or not isinstance(root, yaml.MappingNode):
        raise ConfigError(
            "The configuration is not a list of settings (`key: value`)",
            where=path,
            problems=("see `jindang config schema`, or make a sample with `jindang init`",),
        )
    values = _construct(root, path)
    duplicates = list(_duplicate_keys(root))
    try:
        settings = Settings.model_validate(values, context={"folder": path.resolve().parent})
    except ValidationError as error:
        found = [_problem(root, details) for details in error.errors(include_url=False)]
    else:
        found = []
    if problems := tuple(text for _, text in sorted([*duplicates, *found])):
        count = "one thing" if len(problems) == 1 else f"{len(problems)} things"
        raise ConfigError(f"The configuration has {count} wrong with it", where=path, problems=problems)
    return settings


def _read_yaml(path: Path) -> yaml.Node | None:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        raise ConfigError(
            "The configuration file cannot be read",
            where=path,
            problems=(f"{error.strerror}; name another with --config, or make one with `jindang init DIR`",),
        ) from error
    if len(data) > MAX_CONFIG_BYTES:
        raise ConfigError("The configuration file is larger than 1 MiB", where=path)
    try:
        return yaml.compose(data.decode("utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise ConfigError("The configuration file is not UTF-8", where=path, problems=(str(error),)) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError("The configuration file is not YAML", where=path, problems=(str(error),)) from error


def _construct(root: yaml.MappingNode, path: Path) -> Any:
    loader = yaml.SafeLoader("")
    try:
        values = loader.construct_document(root)
        json.dumps(values, default=str)  # an anchor inside itself has no end
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise ConfigError("The configuration file cannot be used", where=path, problems=(str(error),)) from error
    else:
        return values
    finally:
        loader.dispose()


def _duplicate_keys(node: yaml.Node | None, path: str = "") -> Iterator[tuple[int, str]]:
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            name = f"{path}.{key.value}" if path else str(key.value)
            if key.value in seen:
                line = key.start_mark.line + 1
                yield line, f"line {line}, {name}: stands twice; keep one"
            seen.add(key.value)
            yield from _duplicate_keys(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _duplicate_keys(item, f"{path}[{number}]")


def _problem(root: yaml.Node, details: ErrorDetails) -> tuple[int, str]:
    """One problem as (line, text)."""
    place = _place(details["loc"])
    node: yaml.Node = root
    for part in place:
        child = _child(node, part)
        if child is None:
            break
        node = child
    line = node.start_mark.line + 1
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in place).lstrip(".")
    return line, f"line {line}, {path or 'the file'}: {_explain(details)}"


def _child(node: yaml.Node, part: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item: yaml.Node = node.value[part]
        return item
    return None


def _explain(details: ErrorDetails) -> str:
    """What is wrong and what is allowed, in a sentence without pydantic's terms."""
    location, context = details["loc"], details.get("ctx", {})
    given = "nothing" if details["input"] is None else textwrap.shorten(repr(details["input"]), 80)
    if _schema_at(location).get("title") == Secret.__name__:
        given = "what stands here"  # perhaps the secret itself, which is for no log and no screen
    match details["type"]:
        case "value_error":
            return str(context.get("error"))
        case "extra_forbidden":
            allowed = ", ".join(sorted(_schema_at(location[:-1]).get("properties", {})))
            return f"there is no such setting here; allowed are {allowed}"
        case "missing":
            return f"this setting is missing: {_schema_at(location).get('description', '')}"
        case "string_pattern_mismatch":
            return f"{given} does not have the right form: {_schema_at(location).get('description')}"
        case "union_tag_invalid":
            return f"{context['tag']!r} is no kind of tier; allowed are {context['expected_tags']}"
        case kind:
            message = f"{details['msg'][0].lower()}{details['msg'][1:]}"
            return f"{given} is not allowed; {_ALLOWED[kind].format_map(context) if kind in _ALLOWED else message}"


_ALLOWED = {
    "literal_error": "allowed are {expected}",
    "enum": "allowed are {expected}",
    "dict_type": "give settings of its own, each as `key: value`",
    "string_type": 'give text; a number in quotes, as "120000"',
    "string_too_short": "give a text that is not empty",
    "int_type": "give a whole number",
    "int_parsing": "give a whole number",
    "int_from_float": "give a whole number",
    "bool_type": "give true or false",
    "bool_parsing": "give true or false",
    "byte_size": "give a number of bytes, with a unit if you like: `2 TiB`",
    "byte_size_unit": "give a number of bytes, with a unit if you like: `2 TiB`",
    "path_type": "give a path",
    "tuple_type": "give a list: one entry on each line, beginning with `- `",
    "model_type": "give settings of its own, each as `key: value`",
    "model_attributes_type": "give settings of its own, each as `key: value`",
}
"""pydantic's name of the mistake -> what is allowed, with words from pydantic's context."""


def _place(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """A place as it stands in the file; pydantic's own also names the kind of a tier, and has `[key]` behind a key."""
    parts = [p for number, p in enumerate(location) if p not in _kinds(_schema_at(location[:number])) and p != "[key]"]
    return tuple(parts)


def _kinds(node: dict[str, Any]) -> dict[int | str, str]:
    """Name of a kind -> where its schema is; empty for what has no kinds."""
    kinds: dict[int | str, str] = node.get("discriminator", {}).get("mapping", {})
    return kinds


def _schema_at(location: tuple[int | str, ...]) -> dict[str, Any]:
    """The part of the JSON schema that describes a place; the description is the setting's own. Empty for an unknown.

    Source: the schema's own keywords (JSON Schema 2020-12), and `discriminator` (OpenAPI 3.1) for kinds of tiers.
    """
    whole = _whole_schema()
    node = whole
    for part in location:
        if part in (kinds := _kinds(node)):
            node = {"$ref": kinds[part]}
        elif isinstance(part, int):
            node = node.get("items", {})
        else:
            node = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
        for choice in [node, *node.get("anyOf", [])]:
            definition = whole["$defs"][choice["$ref"].rsplit("/", 1)[-1]] if "$ref" in choice else choice
            node = {**definition, **node}
    return node


@functools.cache
def _whole_schema() -> dict[str, Any]:
    return Settings.model_json_schema()
