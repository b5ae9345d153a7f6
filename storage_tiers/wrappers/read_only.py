"""A tier that is only read, whatever its permissions allow."""

from collections.abc import Mapping

from repository.errors import TierDeniedError
from repository.stop import StopToken
from storage_tiers.port import OpenedVersion, Placed, VersionRef
from storage_tiers.wrappers.forwarding import ForwardingTier


class ReadOnlyTier(ForwardingTier):
    """Refuses every change."""

    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:  # noqa: ARG002
        """Refused."""
        raise self._denied()

    def quarantine_version(self, ref: VersionRef, *, note: Mapping[str, object]) -> str:  # noqa: ARG002
        """Refused."""
        raise self._denied()

    def remove_trial(self, ref: VersionRef) -> None:  # noqa: ARG002
        """Refused."""
        raise self._denied()

    def _denied(self) -> TierDeniedError:
        return TierDeniedError(
            f"The tier {self.identity.name!r} is only read",
            next_step="take `read_only` out of its settings if it may be written to",
        )
