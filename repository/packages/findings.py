"""What is collected while a package is looked at: problems refuse it, warnings are only told."""

from pathlib import Path

from repository.errors import PackageError

MAX_LISTED = 10_000
MAX_OF_A_KIND = 5


class Findings:
    """All problems and warnings, in the order found; each text names the file, the reason and the next step."""

    def __init__(self) -> None:
        self._errors: list[str] = []
        self._warnings: list[str] = []
        self._more_errors = 0
        self._more_warnings = 0
        self._kinds: dict[str, int] = {}

    def error(self, text: str) -> None:
        """Something that refuses the package."""
        if len(self._errors) < MAX_LISTED:
            self._errors.append(text)
        else:
            self._more_errors += 1

    def warn(self, text: str, *, kind: str | None = None) -> None:
        """Something that a person should know, and that refuses nothing.

        What can hold for every file of a package has a `kind`: five of a kind are listed, the others counted.
        """
        if kind is not None:
            self._kinds[kind] = self._kinds.get(kind, 0) + 1
            if self._kinds[kind] > MAX_OF_A_KIND:
                return
        if len(self._warnings) < MAX_LISTED:
            self._warnings.append(text)
        else:
            self._more_warnings += 1

    @property
    def errors(self) -> tuple[str, ...]:
        """Every problem; past 10,000 only their number."""
        return _listed(self._errors, self._more_errors, "problems")

    @property
    def warnings(self) -> tuple[str, ...]:
        """Every warning; past five of a kind, and 10,000 of all, only their number."""
        more = tuple(
            f"and {count - MAX_OF_A_KIND} more: {kind}" for kind, count in self._kinds.items() if count > MAX_OF_A_KIND
        )
        return _listed(self._warnings, self._more_warnings, "warnings") + more

    def raise_if_refused(self, source: Path) -> None:
        """Raise PackageError with every problem, where there is one."""
        if not self._errors:
            return
        errors = self.errors
        raise PackageError(
            "This package was refused",
            where=source,
            why=errors[0] if len(errors) == 1 else f"{len(self._errors) + self._more_errors} problems",
            next_step="correct what is listed, or have the depositor correct it, and hand the package in again",
            problems=errors,
        )


class FatalFindingError(Exception):
    """Looking further would be useless or dangerous; what was found so far stands in the Findings."""


def _listed(texts: list[str], more: int, noun: str) -> tuple[str, ...]:
    return (*texts, f"and {more} more {noun}") if more else tuple(texts)
