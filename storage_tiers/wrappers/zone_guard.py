"""A tier in the zone `public`: nothing that is not public ever goes there."""

from repository.errors import PlacementError
from repository.stop import StopToken
from storage_tiers.port import OpenedVersion, Placed
from storage_tiers.wrappers.forwarding import ForwardingTier


class ZoneGuardedTier(ForwardingTier):
    """Refuses versions whose metadata are not public, before any of their bytes is read.

    The last line of defence: what may lie where is decided in `replication.placement`. An object that was public once
    and is not any more has its new versions refused too.
    """

    def put_version(self, source: OpenedVersion, *, stop: StopToken) -> Placed:
        """Store a version that is public. Raises PlacementError for any other."""
        metadata = source.summary.metadata
        if not metadata.is_public:
            raise PlacementError(
                f"This record may not lie on the tier {self.identity.name!r}, which is in the zone `public`",
                where=f"{source.summary.id} v{source.summary.record.number}",
                why=f"its security class is {metadata.security_class}, its opening status {metadata.opening_status}",
                next_step="nothing was written; correct the placement policy",
            )
        return self._inner.put_version(source, stop=stop)
