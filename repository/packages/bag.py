"""A BagIt bag as a package: its payload is kept as it is, and what came with it as the submission."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import BinaryIO, Self

from repository.errors import PackageError
from repository.packages.bag_manifest import PAYLOAD
from repository.packages.bag_structure import BagStructure
from repository.packages.findings import Findings
from repository.packages.names import shown
from repository.packages.package import PackageFile, PackageFormat, PackageReport
from repository.packages.source import Source

_NEXT_STEP = "have the depositor send the bag again, and compare"


class BagPackage:
    """A complete bag; whether it is valid is known when its files were read and `check` was called.

    Args:
        source: the listed files.
        structure: what its tag files say.
        findings: the warnings so far.
    """

    format = PackageFormat.BAGIT

    def __init__(self, source: Source, structure: BagStructure, findings: Findings) -> None:
        self._source = source
        self._structure = structure
        self._warnings = findings.warnings
        self.source = source.path
        self.name = source.name
        self.files = source.files
        self.random_access = source.random_access
        self.tags: Mapping[str, tuple[str, ...]] = structure.tags

    def algorithms_for(self, file: PackageFile) -> tuple[str, ...]:
        """The digests that the manifests need of this file."""
        return self._structure.algorithms_for(file.path)

    def logical_path(self, file: PackageFile) -> str:
        """Payload stays below data/; tag files go below submission/."""
        return file.path if file.path.startswith(PAYLOAD) else f"submission/{file.path}"

    def contents(self) -> Iterator[tuple[PackageFile, BinaryIO]]:
        """Every file in the order of `files`."""
        return self._source.contents()

    def open(self, file: PackageFile) -> BinaryIO:
        """One file of `files`."""
        return self._source.open(file)

    def check(self, digests: Mapping[str, Mapping[str, str]]) -> PackageReport:
        """Compare the digests of what was read with every manifest."""
        findings = Findings()
        for file in self.files:
            found = digests.get(file.path)
            if found is None:
                findings.error(f"{shown(file.path)} was not read, so that it cannot be checked")
                continue
            for problem in self._structure.mismatches(file.path, found):
                findings.error(problem)
        problems = findings.errors
        if problems:
            raise PackageError(
                "The bag is not valid",
                where=self.source,
                why=problems[0] if len(problems) == 1 else f"{len(problems)} files or digests disagree",
                next_step=_NEXT_STEP,
                problems=problems,
            )
        return PackageReport(
            format=self.format,
            warnings=self._warnings,
            verified_algorithms=self._structure.payload_algorithms,
            files=len(self.files),
            size_bytes=sum(file.size_bytes for file in self.files),
        )

    def close(self) -> None:
        """Let go of the source."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
