"""A table of ways to break an OCFL object, each with exactly the codes that validation must then give.

Exactly, so that noise shows as well. Names follow the collections of OCFL/fixtures, ocfl-py, ocfl-java and rocfl
where these have the case.
"""

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from repository.ocfl.validation import is_valid, validate_object
from tests.doubles.ocfl_builder import FIRST_FILES, OcflObject, digest_of, one_version

BOTH = ("1.0", "1.1")
A, B, C = (digest_of(data) for data in FIRST_FILES.values())
A_MD5 = digest_of(b"first\n", "md5")
V1 = ("versions", "v1")

Break = Callable[[OcflObject], object]


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    codes: str
    only_1_1: str
    only_1_0: str
    specs: tuple[str, ...]
    build: Callable[[Path, str], OcflObject]

    def expected(self, spec_version: str) -> set[str]:
        return {*self.codes.split(), *(self.only_1_0 if spec_version == "1.0" else self.only_1_1).split()}


@dataclass
class CaseTable:
    cases: list[Case] = field(default_factory=list)

    def case(
        self,
        name: str,
        codes: str,
        *,
        only_1_1: str = "",
        only_1_0: str = "",
        specs: tuple[str, ...] = BOTH,
        base: Callable[..., OcflObject] = one_version,
        **options: Any,
    ) -> Callable[[Break], Break]:
        """Register a function that breaks what `base` builds."""

        def register(break_it: Break) -> Break:
            def build(root: Path, spec_version: str) -> OcflObject:
                made = base(root, spec_version=spec_version, **options)
                break_it(made)
                return made

            self.cases.append(
                Case(name=name, codes=codes, only_1_1=only_1_1, only_1_0=only_1_0, specs=specs, build=build)
            )
            return break_it

        return register

    def edited(self, name: str, codes: str, edit: Callable[[dict[str, Any]], object], **options: Any) -> None:
        """A case in which only the inventory is changed, in the root and in the head version."""
        self.case(name, codes, **options)(lambda made: made.rewrite(edit=edit))

    def parameters(self) -> list[Any]:
        """Case and specification version, for `pytest.mark.parametrize`."""
        names = [each.name for each in self.cases]
        assert len(names) == len(set(names))
        return [pytest.param(each, spec, id=f"{spec}-{each.name}") for each in self.cases for spec in each.specs]


def check(each: Case, spec_version: str, root: Path) -> None:
    made = each.build(root, spec_version)
    findings = validate_object(made.root)
    codes = {finding.code for finding in findings}
    assert codes == each.expected(spec_version), "\n".join(str(finding) for finding in findings)
    assert is_valid(findings) == (not any(code.startswith("E") for code in codes))
    assert not any("\n" in finding.message for finding in findings)


def at(document: dict[str, Any], *keys: str) -> Any:
    value: Any = document
    for key in keys:
        value = value[key]
    return value


def rename_key(block: dict[str, Any], old: str, new: str) -> None:
    items = [(new if key == old else key, value) for key, value in block.items()]
    block.clear()
    block.update(items)


def digest_everywhere(new: str) -> Break:
    """Another digest for the first file, wherever the inventory has it."""
    return lambda made: [
        made.put_inventory(where, (made.root / "inventory.json").read_text().replace(A, new).encode())
        for where in ("v1", "")
    ]


def as_it_is(_made: OcflObject) -> None:
    """What the base builds already is the case."""


def failing(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, ending: str) -> None:
    """Let a function that takes a path fail as a bad disk does, for paths with this ending."""
    original = getattr(module, name)

    def fail(path: Path, *arguments: Any) -> Any:
        if str(path).endswith(ending):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return original(path, *arguments)

    monkeypatch.setattr(module, name, fail)
