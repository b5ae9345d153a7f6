"""Which file of a bag a path in a manifest or in fetch.txt means."""

import posixpath
import re
from collections.abc import Iterable

from repository.packages.bag_declaration import Declaration
from repository.packages.findings import Findings
from repository.packages.names import escape_problem, folded, normalised, shown

_ENCODED = re.compile(r"%(0[AD]|25)", re.IGNORECASE)
_ENCODED_LINE_ENDS = re.compile(r"%(0[AD])", re.IGNORECASE)


class PathFinder:
    """Finds the file that a written path means, and tells where it is written oddly.

    Args:
        paths: of every file in the bag.
        declaration: which version's rules to follow.
        findings: takes dangerous paths as problems and odd ones as warnings.

    Memory: one dictionary entry for each file, and two more for each when some path is not found as it is written.
    """

    def __init__(self, paths: Iterable[str], declaration: Declaration, findings: Findings) -> None:
        self._paths = {path: path for path in paths}
        self._declaration = declaration
        self._findings = findings
        self._by_form: dict[str, str] | None = None
        self._by_fold: dict[str, str] | None = None

    def plain(self, written: str, where: str) -> str | None:
        """The path without `./`, `*` and inner `..`; None where it would leave the bag, which is reported."""
        path = written
        if path not in self._paths:
            if path.startswith("*"):
                path = path[1:]
                self._findings.warn(
                    f"{where} has `*` before {shown(path)}, as md5sum writes it; it is left out",
                    kind="`*` before a path",
                )
            if "./" in path or "//" in path:
                path = self._without_dots(path, where)
        if reason := _reason_to_refuse(path):
            self._findings.error(
                f"{where} names {shown(written)}, which is dangerous: {reason}: have the bag corrected"
            )
            return None
        return path

    def _without_dots(self, path: str, where: str) -> str:
        inside = posixpath.normpath(path)
        if path.startswith("/") or inside == ".." or inside.startswith("../") or inside == path:
            return path
        self._findings.warn(
            f"{where} writes {shown(inside)} as {shown(path)}, which other programs may not find",
            kind="paths with dots in them",
        )
        return inside

    def find(self, plain: str, where: str) -> str | None:
        """The file that a plain path means; None where there is none.

        BagIt 1.0 percent-encodes CR, LF and % and nothing else (RFC 8493 section 2.1.3). Older bags write paths as
        they are, but bagit-python encodes CR and LF in them as well; many writers of 1.0 forget the %.
        """
        if "%" not in plain:
            return self._paths.get(plain) or self._normalised(plain, where)
        decoded = decode_path(plain)
        if self._declaration.is_strict:
            if (found := self._paths.get(decoded)) is not None:
                return found
            if (found := self._paths.get(plain)) is not None:
                self._findings.warn(
                    f"{where} does not write the % of {shown(plain)} as %25 (RFC 8493, 2.1.3)",
                    kind="% not written as %25",
                )
                return found
            return self._normalised(decoded, where)
        only_line_ends = _ENCODED_LINE_ENDS.sub(_character, plain)
        return self._paths.get(plain) or self._paths.get(only_line_ends) or self._normalised(plain, where)

    def _normalised(self, path: str, where: str) -> str | None:
        """The file with the same name in another Unicode normalisation form (RFC 8493 section 5.2.2)."""
        stripped = path.rstrip(" \t")
        if stripped != path and stripped in self._paths:
            self._findings.warn(
                f"{where} has spaces after {shown(stripped)}; they are left out", kind="spaces after a path"
            )
            return self._paths[stripped]
        if self._by_form is None:
            self._by_form = {normalised(known): known for known in self._paths if not known.isascii()}
        if path.isascii() or (found := self._by_form.get(normalised(path))) is None:
            return None
        self._findings.warn(
            f"{where} writes {shown(found)} in another Unicode normalisation form ({path!a}) than the file has; it "
            "is taken for the same",
            kind="paths in another Unicode normalisation form",
        )
        return found

    def similar(self, path: str) -> str | None:
        """A file whose name differs only in case, or in backslashes: a hint for a message."""
        if self._by_fold is None:
            self._by_fold = {folded(known): known for known in self._paths}
        return self._by_fold.get(folded(path.replace("\\", "/")))


def decode_path(written: str) -> str:
    """Decode %0A, %0D and %25, and nothing else."""
    return _ENCODED.sub(_character, written)


def _character(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def _reason_to_refuse(path: str) -> str | None:
    if path.startswith("~"):
        return "it begins with ~, which a shell takes for somebody's home folder"
    return escape_problem(path)
