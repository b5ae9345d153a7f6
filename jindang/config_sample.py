"""The commented sample of the configuration and its reference page, both made from the schema."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ByteSize
from pydantic.fields import FieldInfo

from jindang.config import Settings
from repository.durable import tier_errors, write_durable_file

_HEADER = """\
# The configuration of a Jindang repository. Paths are relative to this file.
# A setting behind a # without a space, as #data, is not in force: it shows its default, or an example where it has
# none. Take the # away to change it, and from the line of its section too. Then run `jindang config check`.
"""


def write_sample(path: Path, *, code: str, name: str) -> bool:
    """Write a commented configuration with one disk tier; False when there is one already."""
    with tier_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_durable_file(path, sample(code=code, name=name).encode())
        except FileExistsError:
            return False
    return True


def sample(*, code: str, name: str) -> str:
    """The text of the sample."""
    given = {"institution": {"code": code, "name": name}, "tiers": [{"name": "primary", "path": "primary"}]}
    return _HEADER + "\n".join(_lines(Settings, given, indent="")) + "\n"


def _lines(model: type[BaseModel], given: dict[str, Any], *, indent: str) -> Iterator[str]:
    for key, field in model.model_fields.items():
        value = given.get(key)
        section = _section(field)
        yield f"{indent}# {field.description}" if indent else f"\n# {field.description}"
        if isinstance(value, list) and section:
            yield f"{indent}{key}:"
            for item in value:
                lines = list(_lines(section, item, indent=f"{indent}    "))
                yield f"{indent}  -"
                yield from lines
        elif section is not None and (isinstance(value, dict) or value is None):
            yield f"{indent}{key}:" if value else f"{indent}#{key}:"
            yield from _lines(section, value or {}, indent=f"{indent}  ")
        elif value is not None:
            yield f"{indent}{key}: {json.dumps(value, ensure_ascii=False)}"
        else:
            yield f"{indent}#{key}: {_default(field)}"


def _section(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a setting holds, alone, as an alternative to nothing, or as a list."""
    annotation: Any = field.annotation
    for choice in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(choice, type) and issubclass(choice, BaseModel):
            return choice
    return None


def _default(field: FieldInfo) -> str:
    value = field.examples[0] if field.default is None and field.examples else field.default
    return _plain(value)


def _plain(value: object) -> str:
    """A value as one writes it in the file; sizes with a unit."""
    if not isinstance(value, ByteSize):
        return json.dumps(value, ensure_ascii=False, default=str)
    power = max(power for power in range(6) if value % (1 << 10 * power) == 0)
    return f"{value >> 10 * power} {_UNITS[power]}"


_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def reference() -> str:
    """`docs/reference/configuration.md`."""
    lines = [
        "# Configuration",
        "",
        "Made from the schema by `scripts/make-reference`; do not edit. `jindang init` writes a commented sample,",
        "`jindang config check` finds every mistake at once, `jindang config schema` prints the JSON schema.",
        "Sizes may have a unit (`2 TiB`); paths are relative to the configuration file.",
        "",
        "| setting | meaning | allowed | default |",
        "|---|---|---|---|",
        *_rows(Settings, Settings.model_json_schema(), path=""),
        "",
    ]
    return "\n".join(lines)


def _rows(model: type[BaseModel], schema: dict[str, Any], *, path: str) -> Iterator[str]:
    for key, field in model.model_fields.items():
        section = _section(field)
        is_list = "tuple" in str(field.annotation) and section is not None
        name = f"{path}{key}{'[]' if is_list else ''}"
        if section is None:
            yield f"| `{name}` | {field.description} | {_allowed(model, key)} | {_default_cell(field)} |"
        else:
            default = "required" if field.is_required() else "none" if field.default is None else "as below"
            yield f"| `{name}` | {field.description} | | {default} |"
            yield from _rows(section, schema, path=f"{name}.")


def _allowed(model: type[BaseModel], key: str) -> str:
    schema = model.model_json_schema()["properties"][key]
    choices = [schema, *schema.get("anyOf", [])]
    if isinstance(model.model_fields[key].default, ByteSize):
        return "a number of bytes, or with a unit as `2 TiB`"
    words = []
    for choice in choices:
        if "const" in choice or "enum" in choice:
            words.append(", ".join(f"`{value}`" for value in choice.get("enum", [choice.get("const")])))
        if "pattern" in choice:
            words.append(f"`{choice['pattern']}`".replace("|", "\\|"))
        bounds = [f"{word} {choice[bound]:,}" for bound, word in _BOUNDS if bound in choice]
        if bounds:
            words.append(", ".join(bounds))
        if choice.get("type") == "boolean":
            words.append("`true`, `false`")
    return "; ".join(words)


_BOUNDS = (("minimum", "at least"), ("maximum", "at most"), ("minLength", "characters: at least"))


def _default_cell(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return "none" if field.default is None else f"`{_plain(field.default)}`"
