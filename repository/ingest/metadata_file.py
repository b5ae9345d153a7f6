"""Metadata that a person gives for packages: a YAML or JSON file for one, a CSV file for many."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from repository.aip import METADATA_KEYS
from repository.errors import InvalidInputError

MAX_BYTES = 256 << 20
SUFFIXES = (".yaml", ".yml", ".json")
_PACKAGE_COLUMN = "package"
_NULL = "tag:yaml.org,2002:null"


def read_metadata_file(path: Path) -> dict[str, dict[str, Any]]:
    """Read a metadata file.

    Returns: package name -> values. YAML and JSON hold the values of one package, under the name `` (empty). CSV has
        a row for each package, with a column `package` for the folder's or archive's name; columns that are no known
        key become free fields, and empty cells say nothing.

    Raises:
        InvalidInputError: it cannot be read, or has not this form.
    """
    text = _text(path)
    if path.suffix.lower() == ".csv":
        return _rows(text, path)
    try:
        values = _json(text) if path.suffix.lower() == ".json" else _yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _wrong(path, f"it is not YAML or JSON: {error}") from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise _wrong(path, "it is not a list of `key: value`")
    return {"": values}


def metadata_beside(package: Path) -> Path | None:
    """The metadata file next to a package: `NAME.yaml`, `NAME.yml` or `NAME.json` for the package `NAME`."""
    package = package.absolute()
    if package.name in ("", ".."):
        return None
    candidates = (package.with_name(package.name + suffix) for suffix in SUFFIXES)
    return next((path for path in candidates if path.is_file()), None)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _wrong(path, error.strerror or str(error)) from error
    if len(data) > MAX_BYTES:
        raise _wrong(path, f"it is larger than {MAX_BYTES:,} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _wrong(path, "it is not UTF-8; in a spreadsheet program choose `CSV UTF-8` when saving") from error


class _TextLoader(yaml.SafeLoader):
    """Leaves every value the text that was written: 全宗 017 is not the number 15, and 2015-03-01 not a moment."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML declares it
        first: [(tag, pattern) for tag, pattern in resolvers if tag == _NULL]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As the base class, but a key that stands twice is an error."""
        _require_distinct([key.value for key, _ in node.value if isinstance(key.value, str)])
        return super().construct_mapping(node, deep=deep)


def _yaml(text: str) -> Any:
    loader = _TextLoader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _json(text: str) -> Any:
    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        _require_distinct([key for key, _ in pairs])
        return dict(pairs)

    return json.loads(text, object_pairs_hook=distinct)


def _require_distinct(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"`{name}` stands twice; keep one")


def _rows(text: str, path: Path) -> dict[str, dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows: dict[str, dict[str, Any]] = {}
    try:
        columns = [name.strip() for name in reader.fieldnames or ()]
        if _PACKAGE_COLUMN not in columns:
            raise _wrong(path, f"it has no column `{_PACKAGE_COLUMN}`; its first line is {', '.join(columns)!r}")
        _require_distinct(columns)
        reader.fieldnames = columns
        for row in reader:
            name = row.pop(_PACKAGE_COLUMN, None)
            if not name or name in rows or None in row:
                raise _wrong(
                    path, f"line {reader.line_num}: the package is not named, named twice, or has extra cells"
                )
            rows[name] = _values(row)
    except (csv.Error, ValueError) as error:
        raise _wrong(path, f"line {reader.line_num}: {error}") from error
    return rows


def _values(row: dict[str, str]) -> dict[str, Any]:
    """A row without its empty cells; columns that are no known key are free fields."""
    given = {key: value for key, value in row.items() if key and value and value.strip()}
    known = {key: given.pop(key) for key in ("identifier", *METADATA_KEYS) if key in given and key != "fields"}
    return {**known, "fields": given} if given else known


def _wrong(path: Path, why: str) -> InvalidInputError:
    return InvalidInputError(
        "The metadata file cannot be used",
        where=path,
        why=why,
        next_step="correct it; docs/how-to/describe-packages.md shows the form",
    )
