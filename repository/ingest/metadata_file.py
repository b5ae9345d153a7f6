"""Metadata that a person gives for packages: a YAML or JSON file for one, a CSV file for many."""

import csv
import io
from pathlib import Path
from typing import Any

import yaml

from repository.aip import METADATA_KEYS
from repository.errors import InvalidInputError

MAX_BYTES = 256 << 20
SUFFIXES = (".yaml", ".yml", ".json")
_PACKAGE_COLUMN = "package"


def read_metadata_file(path: Path) -> dict[str, dict[str, Any]]:
    """Read a metadata file.

    Returns: package name -> values. YAML and JSON hold the values of one package, under the name `` (empty). CSV has
        a row for each package, with a column `package` for the folder's or archive's name; columns that are no known
        key become free fields, and empty cells say nothing.

    Raises:
        InvalidInputError: it cannot be read, or has not this form.
    """
    if path.suffix.lower() == ".csv":
        return _rows(_text(path), path)
    try:
        values = yaml.safe_load(_text(path))  # JSON is YAML
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _wrong(path, f"it is not YAML or JSON: {error}") from error
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise _wrong(path, "it is not a list of `key: value`")
    return {"": values}


def metadata_beside(package: Path) -> Path | None:
    """The metadata file next to a package: `NAME.yaml`, `NAME.yml` or `NAME.json` for the package `NAME`."""
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


def _rows(text: str, path: Path) -> dict[str, dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows: dict[str, dict[str, Any]] = {}
    try:
        if _PACKAGE_COLUMN not in (reader.fieldnames or ()):
            raise _wrong(path, f"it has no column `{_PACKAGE_COLUMN}`")
        for row in reader:
            name = row.pop(_PACKAGE_COLUMN, None)
            if not name or name in rows or None in row:
                raise _wrong(
                    path, f"line {reader.line_num}: the package is not named, named twice, or has extra cells"
                )
            given = {key: value for key, value in row.items() if value}
            known = {key: given.pop(key) for key in ("identifier", *METADATA_KEYS) if key in given and key != "fields"}
            rows[name] = {**known, "fields": given} if given else known
    except csv.Error as error:
        raise _wrong(path, f"line {reader.line_num}: {error}") from error
    return rows


def _wrong(path: Path, why: str) -> InvalidInputError:
    return InvalidInputError(
        "The metadata file cannot be used",
        where=path,
        why=why,
        next_step="see docs/how-to/describe-packages.md for the form",
    )
