"""The reference page of the configuration, made from the schema."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ByteSize
from pydantic.fields import FieldInfo

from jindang.config import Settings
from jindang.config_sample import default_of, is_list, plain, sections


def reference() -> str:
    """`docs/reference/configuration.md`."""
    lines = [
        "# Configuration",
        "",
        "Made from the schema by `scripts/make-reference`; do not edit. `jindang init` writes a commented sample,",
        "`jindang config check` finds every mistake at once, `jindang config schema` prints the JSON schema.",
        "Sizes may have a unit (`2 TiB`); paths are relative to the configuration file. `tiers[]` is every entry of",
        "the list, `tiers[disk]` an entry of the kind `disk`.",
        "",
        "| setting | meaning | allowed | default |",
        "|---|---|---|---|",
        *_Table().rows(Settings, path=""),
        "",
    ]
    return "\n".join(lines)


class _Table:
    """Rows for sections; a section that several settings hold is written out once."""

    def __init__(self) -> None:
        self._written: dict[type[BaseModel], str] = {}

    def rows(self, model: type[BaseModel], *, path: str, leave_out: frozenset[str] = frozenset()) -> Iterator[str]:
        """The settings of a section."""
        for key, field in model.model_fields.items():
            if key not in leave_out:
                yield from self._setting(model, key, field, path=path)

    def _setting(self, model: type[BaseModel], key: str, field: FieldInfo, *, path: str) -> Iterator[str]:
        held = sections(field.annotation)
        name = f"{path}{key}{'[]' if held and is_list(field) else ''}"
        if not held:
            yield _row(name, field, _allowed(model, key))
        elif written := self._written.get(held[0]):
            yield _row(name, field, f"as `{written}`")
        else:
            self._written[held[0]] = name
            yield _row(name, field, "")
            shared = _shared(held) if len(held) > 1 else frozenset(held[0].model_fields)
            yield from self.rows(held[0], path=f"{name}.", leave_out=frozenset(held[0].model_fields) - shared)
            for section in held if len(held) > 1 else ():
                kind = f"{path}{key}[{get_args(section.model_fields['kind'].annotation)[0]}]"
                yield from self.rows(section, path=f"{kind}.", leave_out=shared)


def _shared(kinds: tuple[type[BaseModel], ...]) -> frozenset[str]:
    """The settings that every kind of section has, with the same meaning."""
    first, *others = kinds
    return frozenset(
        key
        for key, field in first.model_fields.items()
        if all(key in o.model_fields and o.model_fields[key].description == field.description for o in others)
    )


def _row(name: str, field: FieldInfo, allowed: str) -> str:
    return f"| `{name}` | {field.description} | {allowed} | {_default_cell(field)} |"


def _default_cell(field: FieldInfo) -> str:
    value = default_of(field)
    if field.is_required():
        return "required"
    if isinstance(value, BaseModel):
        return "as below"
    return "none" if value is None or value in ((), "", {}) else f"`{plain(value)}`"


def _allowed(model: type[BaseModel], key: str) -> str:
    if ByteSize in _parts(model.model_fields[key].annotation):
        return "a number of bytes, or with a unit as `2 TiB`"
    schema = model.model_json_schema()
    return "; ".join(_words(schema["properties"][key], schema.get("$defs", {})))


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from _parts(part)


def _words(node: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    """What the JSON schema allows, in words."""
    if "$ref" in node:
        node = definitions[node["$ref"].rsplit("/", 1)[-1]]
    if "const" in node or "enum" in node:
        yield ", ".join(f"`{value}`" for value in node.get("enum", [node.get("const")]))
    if "pattern" in node:
        yield f"`{node['pattern']}`".replace("|", "\\|")
    bounds = [f"{word} {node[bound]:,}" for bound, word in _BOUNDS if bound in node]
    if bounds:
        yield ", ".join(bounds)
    if node.get("type") == "boolean":
        yield "`true`, `false`"
    for inner in (*node.get("anyOf", ()), node.get("items"), node.get("additionalProperties")):
        if isinstance(inner, dict):
            yield from _words(inner, definitions)


_BOUNDS = (
    ("minimum", "at least"),
    ("maximum", "at most"),
    ("minLength", "characters: at least"),
)
