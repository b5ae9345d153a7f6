"""Validation of OCFL objects and storage roots: the parts that the rest of Jindang calls."""

from repository.ocfl.codes import CODES, UNREADABLE, Code, Finding, Severity, is_valid
from repository.ocfl.validate_object import ObjectReport, validate_object
from repository.ocfl.validate_storage_root import report_on_storage_root, validate_storage_root

__all__ = [
    "CODES",
    "UNREADABLE",
    "Code",
    "Finding",
    "ObjectReport",
    "Severity",
    "is_valid",
    "report_on_storage_root",
    "validate_object",
    "validate_storage_root",
]
