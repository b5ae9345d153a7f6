"""A tier whose calls fail as planned; a test that planned a fault which never came has not tested it, and fails."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self, TypeVar

from repository.errors import TierUnavailableError
from repository.model import VersionSummary
from repository.stop import StopToken
from storage_tiers.fixity_outcome import Depth, FixityOutcome
from storage_tiers.port import ExpectedVersion, OpenedVersion, Placed, StorageTier, Usage, VersionRef
from storage_tiers.wrappers.forwarding import ForwardingTier

_Answer = TypeVar("_Answer")


def gone() -> Exception:
    """What a network does."""
    return TierUnavailableError("The tier is gone, as planned", where="tests")


@dataclass(slots=True, kw_only=True)
class Fault:
    """One failure.

    Args:
        call: method of the port.
        nth: which call of this method fails, from 1.
        error: makes the error.
        after: the call is made first, and its answer is lost (A16); else it never reaches the tier.
        items: of a listing: how many come before it fails.
    """

    call: str
    nth: int = 1
    error: Callable[[], Exception] = gone
    after: bool = False
    items: int = 0
    used: bool = False


@dataclass(slots=True)
class _Calls:
    counted: dict[str, int] = field(default_factory=dict)

    def next(self, name: str) -> int:
        self.counted[name] = self.counted.get(name, 0) + 1
        return self.counted[name]


class FaultyTier(ForwardingTier):
    """Use it in a `with` block: at its end every planned fault must have been used."""

    def __init__(self, inner: StorageTier, *plan: Fault) -> None:
        super().__init__(inner)
        self._plan, self._calls = plan, _Calls()

    @property
    def calls(self) -> Mapping[str, int]:
        """Method -> how often it was called."""
        return self._calls.counted

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        unused = [fault for fault in self._plan if not fault.used]
        if kind is None and unused:
            raise AssertionError(f"planned faults that never came: {unused}")

    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        return self._call("put_version", lambda: super(FaultyTier, self).put_version(source, stop=stop))

    def open_version(self, ref: VersionRef, *, location: str | None = None) -> OpenedVersion:
        return self._call("open_version", lambda: super(FaultyTier, self).open_version(ref, location=location))

    def stat_version(self, ref: VersionRef) -> VersionSummary:
        return self._call("stat_version", lambda: super(FaultyTier, self).stat_version(ref))

    def list_versions(self, *, after: VersionRef | None = None) -> Iterator[VersionRef]:
        fault = self._fault("list_versions")
        for number, ref in enumerate(super().list_versions(after=after)):
            if fault is not None and number == fault.items:
                fault.used = True
                raise fault.error()
            yield ref
        if fault is not None and not fault.used:
            fault.used = True
            raise fault.error()

    def verify_version(self, expected: ExpectedVersion, *, depth: Depth, stop: StopToken) -> FixityOutcome:
        return self._call(
            "verify_version", lambda: super(FaultyTier, self).verify_version(expected, depth=depth, stop=stop)
        )

    def quarantine_version(self, ref: VersionRef, *, note: Mapping[str, object]) -> str:
        return self._call("quarantine_version", lambda: super(FaultyTier, self).quarantine_version(ref, note=note))

    def usage(self) -> Usage:
        return self._call("usage", super().usage)

    def _call(self, name: str, call: Callable[[], _Answer]) -> _Answer:
        fault = self._fault(name)
        if fault is None:
            return call()
        if fault.after:
            call()
        fault.used = True
        raise fault.error()

    def _fault(self, name: str) -> Fault | None:
        number = self._calls.next(name)
        return next((fault for fault in self._plan if fault.call == name and fault.nth == number), None)
