"""Objects that exist only while a tier is tried out, and how they are told from records.

They lie in one folder of their own, `jindang-contract-<uuid>/`, which no layout ever gives to a record; so that what a
killed trial left behind is recognised, and nothing else can be taken for it.
"""

import re
from typing import Final, Protocol, runtime_checkable

from repository.errors import TierDeniedError
from storage_tiers.port import VersionRef

TRIAL_IDENTIFIER: Final = "urn:jindang:contract:"
TRIAL_FOLDER: Final = "jindang-contract-"

_PATH: Final = re.compile(rf"{TRIAL_FOLDER}[0-9a-f]{{8}}(-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}}/[a-z0-9-]+", re.ASCII)


@runtime_checkable
class TrialTier(Protocol):
    """A tier on which the contract can be tried: it can remove what a trial has put there."""

    def remove_trial(self, ref: VersionRef) -> None:
        """Remove one version of a trial object; nothing there is fine. With the last one nothing is left of it.

        Raises:
            TierDeniedError: it is not a trial object, and nothing was touched; or the tier gives up nothing.
            TierError: the tier could not be written.
        """
        ...


def trial_identifier(run: str, name: str) -> str:
    """The identifier of a trial object. `run` is an uuid, `name` has small letters, digits and hyphens only."""
    return f"{TRIAL_IDENTIFIER}{run}:{name}"


def trial_path(run: str, name: str) -> str:
    """Where a trial object lies, on every tier."""
    return f"{TRIAL_FOLDER}{run}/{name}"


def require_trial(ref: VersionRef) -> None:
    """Refuse everything but a trial object.

    Raises:
        TierDeniedError: it may be a record.
    """
    if not _PATH.fullmatch(ref.object_path):
        raise TierDeniedError(
            "Only trial objects are ever removed",
            where=f"{ref.object_path} v{ref.number}",
            next_step="nothing was touched; records are never deleted by this call",
        )
