"""What reading a copy came to: values, with expected, observed and where; never an exception."""

from dataclasses import dataclass
from enum import StrEnum


class Depth(StrEnum):
    """How much of a copy is read."""

    PRESENCE = "presence"
    """Names and sizes; inventory and sidecar are read."""
    SCRUB = "scrub"
    """All bytes, against the fast checksum of the catalogue where there is one, else against the digests."""
    FULL = "full"
    """All bytes, against the digests of the inventory, and the inventory against the catalogue."""


class FixityState(StrEnum):
    """What holds of a copy, or of one file of it; later ones are worse news about the bytes."""

    VERIFIED = "verified"
    UNAVAILABLE = "unavailable"
    """The tier could not be reached: nothing was learned."""
    UNVERIFIABLE = "unverifiable"
    """It could be read, but there is nothing to compare it with."""
    UNREADABLE = "unreadable"
    """It is there, and could not be read."""
    MISSING = "missing"
    MISMATCH = "mismatch"
    """It was read, and is not what it should be."""


_ORDER = tuple(FixityState)


@dataclass(frozen=True, slots=True, kw_only=True)
class FixityFinding:
    """One thing that is not as it should be.

    Args:
        state: anything but VERIFIED.
        path: content path below the object, `v1/inventory.json`, or None for the whole version.
        expected: digest, size or name; in words a person understands.
        observed: the same, as it was found; None where nothing was.
        detail: what else is known, as the system's own message.
    """

    state: FixityState
    path: str | None = None
    expected: str | None = None
    observed: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FixityOutcome:
    """What reading one version's copy came to, and what it cost.

    Args:
        findings: none when the copy is what it should be.
        files: that were read.
        read_bytes: that came from the tier.
        requests: to a server; 0 for a disk.
    """

    findings: tuple[FixityFinding, ...] = ()
    files: int = 0
    read_bytes: int = 0
    requests: int = 0

    @property
    def state(self) -> FixityState:
        """The worst finding's; VERIFIED when there is none."""
        return max((finding.state for finding in self.findings), key=_ORDER.index, default=FixityState.VERIFIED)
