"""The kinds of value that a setting may have: names, sizes, paths, references to secrets, sections."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
ShortText = Annotated[str, Field(pattern=r"^\S(.{0,78}\S)?$")]


def _without_spaces(value: object) -> object:
    """Let `2 TiB` pass as `2TiB`."""
    return value.replace(" ", "") if isinstance(value, str) else value


Size = Annotated[ByteSize, BeforeValidator(_without_spaces)]


def from_config_folder(value: Path, info: ValidationInfo) -> Path:
    """Paths in the file are relative to the file's own folder."""
    folder = (info.context or {}).get("folder")
    try:
        return Path(os.path.normpath(folder / value.expanduser())) if folder else value
    except RuntimeError:
        raise ValueError(f"{str(value)!r} names the home folder of nobody here; write the whole path") from None


ConfigPath = Annotated[Path, AfterValidator(from_config_folder)]


class Section(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Secret(Section):
    """A secret by reference; exactly one of the three. A secret never stands in this file."""

    env: str | None = Field(default=None, examples=["JINDANG_DATABASE_PASSWORD"])
    """The name of an environment variable that holds it."""
    file: ConfigPath | None = Field(default=None, examples=["/etc/jindang/database-password"])
    """A file whose first line it is."""
    command: tuple[str, ...] | None = Field(default=None, examples=[["pass", "show", "jindang/database"]])
    """A program, with its arguments, that prints it."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.env, self.file, self.command)) != 1:
            raise ValueError("give exactly one of env, file, command")
        return self


def refuse_all(problems: Sequence[tuple[tuple[int | str, ...], str]]) -> None:
    """Refuse a value with everything that is wrong in it, each at its own place; nothing is done when all is well.

    Args:
        problems: where, from the value that is checked, and what is wrong.

    Raises:
        ValidationError: there is a problem. A validator may raise it; pydantic puts the places after its own.
    """
    if problems:
        lines = [(loc, PydanticCustomError("value_error", "{error}", {"error": text})) for loc, text in problems]
        raise ValidationError.from_exception_data(
            "configuration", [InitErrorDetails(type=error, loc=loc, input=None) for loc, error in lines]
        )
