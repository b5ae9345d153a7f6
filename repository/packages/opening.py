"""Opening a package: what it is, what is in it, and whether any of it is hostile; before anything is read out."""

import os
from pathlib import Path
from typing import Literal

from repository.errors import PackageError
from repository.packages.findings import FatalFindingError, Findings
from repository.packages.folder import FolderPackage, list_folder
from repository.packages.listing import CollisionPolicy, ListingRules
from repository.packages.package import Limits, Package
from repository.packages.source import ARCHIVE_SUFFIXES, Source
from repository.stop import StopToken

Format = Literal["auto", "folder", "bagit"]

_OTHER_ARCHIVES = (".rar", ".7z", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".gz", ".lz", ".cab", ".iso")
_FIRST_BYTES = 512


def open_package(path: Path, *, format: Format, limits: Limits, stop: StopToken) -> Package:  # noqa: A002
    """Open a package, list it, and refuse what is hostile, damaged or incomplete.

    Args:
        path: a folder, or an archive of a bag (.zip, .tar, .tar.gz, .tgz).
        format: `auto` takes a folder with bagit.txt, and every archive, for a bag; `folder` takes any folder as it
            is; `bagit` wants a bag.
        limits: what it may grow to.
        stop: polled while listing and reading.

    Returns: the package; close it. No payload was read, except that tar.gz was decompressed once and forgotten.
    Memory: at the most 1 KB for each file while opening (1.7 KB out of ZIP), half of it until it is closed.

    Raises:
        PackageError: the package was refused; `problems` lists every reason.
        OperationCancelledError: stop was set.
    """
    findings = Findings()
    source = open_source(path, CollisionPolicy.REFUSE, limits, findings, stop, archive_allowed=format != "folder")
    package = None
    try:
        if source is not None:
            package = _package_of(source, format, limits, findings)
    except FatalFindingError:
        pass
    except PackageError as error:
        _keep(error, findings)
    finally:
        if source is not None and (package is None or findings.errors):
            source.close()
    if package is not None and not findings.errors:
        _refuse_empty(package, findings)
    findings.raise_if_refused(path)
    assert package is not None  # noqa: S101 - else there was a finding
    return package


def _refuse_empty(package: Package, findings: Findings) -> None:
    if not package.files:
        findings.error("The package is empty: there is nothing to preserve")
    elif not any(package.logical_path(file).startswith("data/") for file in package.files):
        findings.error("The bag has no payload: there is nothing to preserve")
    if findings.errors:
        package.close()


def _package_of(source: Source, format: Format, limits: Limits, findings: Findings) -> Package | None:  # noqa: A002
    from repository.packages.folder import FolderSource

    names = {file.path for file in source.files if "/" not in file.path}
    if isinstance(source, FolderSource) and (format == "folder" or (format == "auto" and "bagit.txt" not in names)):
        return FolderPackage(source, findings)
    from repository.packages.bag import BagPackage
    from repository.packages.bag_structure import read_structure

    structure = read_structure(source, CollisionPolicy.REFUSE, limits, findings)
    return None if structure is None else BagPackage(source, structure, findings)


def open_source(
    path: Path,
    collisions: CollisionPolicy,
    limits: Limits,
    findings: Findings,
    stop: StopToken,
    *,
    archive_allowed: bool = True,
) -> Source | None:
    """List a folder or an archive.

    Returns: None where it cannot be listed; then the findings say why. They may have problems otherwise too.
    """
    try:
        if _is_folder(path, findings):
            return list_folder(path, ListingRules(limits, collisions, findings), findings, stop)
        if problem := _not_an_archive(path, archive_allowed=archive_allowed):
            findings.error(problem)
            return None
        return _open_archive(path, collisions, limits, findings, stop)
    except FatalFindingError:
        return None
    except PackageError as error:
        _keep(error, findings)
        return None


def _is_folder(path: Path, findings: Findings) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        findings.error(f"The package cannot be looked at ({error.strerror}): check its permissions and the disk")
        raise FatalFindingError from error


def _open_archive(
    path: Path, collisions: CollisionPolicy, limits: Limits, findings: Findings, stop: StopToken
) -> Source:
    from repository.packages.archive_file import ArchiveFile, refuse_damaged

    archive = ArchiveFile(path)
    rules = ListingRules(limits, collisions, findings, archive_bytes=archive.size_bytes)
    try:
        start = archive.read(_FIRST_BYTES, 0)
        if start.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")) or path.suffix.lower() == ".zip":
            from repository.packages.zip_archive import list_zip

            return list_zip(archive, rules, findings, stop)
        from repository.packages.tar_archive import list_tar, list_tar_gzip

        if not start:
            refuse_damaged(path, "it is empty")
        if start.startswith(b"\x1f\x8b"):
            return list_tar_gzip(archive, rules, findings, stop)
        return list_tar(archive, rules, findings, stop)
    except BaseException:
        archive.close()
        raise


def _not_an_archive(path: Path, *, archive_allowed: bool) -> str | None:
    """Why a path that is no folder cannot be opened; None where it is an archive that can be."""
    name = path.name.lower()
    if not os.path.lexists(path):
        return "There is nothing at this path: check how it is written, and that the disk is mounted"
    if not path.is_file():
        return "This is neither a folder nor a file that can be read (a broken link, a device, a fifo?)"
    if name.endswith(ARCHIVE_SUFFIXES):
        return None if archive_allowed else "This is an archive, not a folder: unpack it, or hand it in as a bag"
    if name.endswith(_OTHER_ARCHIVES):
        return "Archives of this kind cannot be read: unpack it into a folder, and hand in the folder"
    return "This is a single file, not a package: put it into a folder of its own, and hand in the folder"


def _keep(error: PackageError, findings: Findings) -> None:
    for problem in error.problems or (str(error),):
        findings.error(problem)
