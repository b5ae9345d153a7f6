"""The commented sample of the configuration, made from the schema."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ByteSize
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

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
    primary = {"name": "primary", "kind": "disk", "path": "primary"}
    given = {"institution": {"code": code, "name": name}, "tiers": [primary]}
    return _HEADER + "\n".join(_Writer().settings(Settings, given, indent="")) + "\n"


class _Writer:
    """Writes sections as commented YAML; what was explained once is not explained again in an example."""

    def __init__(self) -> None:
        self._told: set[str | None] = set()

    def settings(self, model: type[BaseModel], given: dict[str, Any], *, indent: str) -> Iterator[str]:
        """All settings of a section: those given are in force, the others show their default or an example."""
        fields = model.model_fields.items()
        for key, field in sorted(fields, key=lambda pair: _rank(pair[0], given)) if indent else fields:
            if not indent:
                yield ""
            yield from self._setting(key, field, given.get(key), indent=indent)

    def _setting(self, key: str, field: FieldInfo, value: Any, *, indent: str) -> Iterator[str]:
        self._told.add(field.description)
        yield f"{indent}# {field.description}"
        held = sections(field.annotation)
        if not held:
            yield f"{indent}#{key}: {_shown(field)}" if value is None else f"{indent}{key}: {plain(value)}"
        elif is_list(field):
            yield f"{indent}{key}:" if value else f"{indent}#{key}:"
            for item in value or ():
                yield f"{indent}  -"
                yield from self.settings(held[0], item, indent=f"{indent}    ")
            for section in held:
                yield from self._list_example(section, indent=f"{indent}  ")
        elif value is None and (example := _example(held[0])):
            yield f"{indent}#{key}:"
            yield from self._example_settings(held[0], example, indent=f"{indent}  ")
        else:
            yield f"{indent}{key}:" if value else f"{indent}#{key}:"
            yield from self.settings(held[0], value or {}, indent=f"{indent}  ")

    def _list_example(self, section: type[BaseModel], *, indent: str) -> Iterator[str]:
        yield f"{indent}# For example: {(section.__doc__ or '').splitlines()[0]}"
        yield f"{indent}#-"
        yield from self._example_settings(section, _example(section), indent=f"{indent}  ")

    def _example_settings(self, model: type[BaseModel], example: dict[str, Any], *, indent: str) -> Iterator[str]:
        """What the example says, and every setting that was not explained before."""
        for key, field in sorted(model.model_fields.items(), key=lambda pair: _rank(pair[0], example)):
            is_new = field.description not in self._told
            self._told.add(field.description)
            if is_new:
                yield f"{indent}# {field.description}"
            held = sections(field.annotation)
            if key in example:
                yield f"{indent}#{key}: {plain(example[key])}"
            elif is_new and held and not field.examples:
                yield f"{indent}#{key}:"
                yield from self._example_settings(held[0], {}, indent=f"{indent}  ")
            elif is_new:
                yield f"{indent}#{key}: {_shown(field)}"


def _rank(key: str, given: dict[str, Any]) -> int:
    """What is given comes first, in its order."""
    return list(given).index(key) if key in given else len(given)


def sections(annotation: Any) -> tuple[type[BaseModel], ...]:
    """The kinds of section that a setting may hold, alone, as an alternative to nothing, or as a list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    return tuple(section for part in get_args(annotation) for section in sections(part))


def is_list(field: FieldInfo) -> bool:
    """Whether a setting is a list."""
    return get_origin(field.annotation) is tuple


def default_of(field: FieldInfo) -> Any:
    """What holds when nothing is said; None also for a setting that must be given."""
    value = field.get_default(call_default_factory=True, validated_data={})
    return None if value is PydanticUndefined else value


def plain(value: object) -> str:
    """A value as one writes it in the file; sizes with a unit."""
    if not isinstance(value, ByteSize):
        return json.dumps(value, ensure_ascii=False, default=str)
    power = max(power for power in range(6) if value % (1 << 10 * power) == 0)
    return f"{value >> 10 * power} {_UNITS[power]}"


_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def _example(section: type[BaseModel]) -> dict[str, Any]:
    """The example that a section has of itself; empty when it has none."""
    extra = section.model_config.get("json_schema_extra")
    examples: list[dict[str, Any]] = extra["examples"] if isinstance(extra, dict) else [{}]  # type: ignore[assignment]
    return examples[0]


def _shown(field: FieldInfo) -> str:
    """The default of a setting, or an example where it has none."""
    value = default_of(field)
    return plain(field.examples[0] if not value and value is not False and field.examples else value)
