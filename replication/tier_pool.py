"""The tiers of a run: each opened once, when it is needed, and left alone once it was found to be down."""

import threading
from collections.abc import Callable, Mapping
from typing import Self

from repository.errors import RepositoryError
from storage_tiers.port import StorageTier


class TierPool:
    """Tiers by name. A tier that is down is one state with one reason, however many copies wait for it.

    Args:
        openers: name -> opens the tier; raises TierError when it is not there.
    """

    def __init__(self, openers: Mapping[str, Callable[[], StorageTier]]) -> None:
        self._openers = openers
        self._opened: dict[str, StorageTier] = {}
        self._lock = threading.Lock()
        self.down: dict[str, RepositoryError] = {}
        """Name -> why it could not be used; it is not tried again in this run."""

    @property
    def names(self) -> tuple[str, ...]:
        """All tiers, in the order of the configuration."""
        return tuple(self._openers)

    def open(self, name: str) -> StorageTier:
        """The tier.

        Raises:
            RepositoryError: it is down, for the reason that was found first.
        """
        with self._lock:
            if name in self.down:
                raise self.down[name]
            if name not in self._opened:
                try:
                    self._opened[name] = self._openers[name]()
                except RepositoryError as error:
                    self.down[name] = error
                    raise
            return self._opened[name]

    def mark_down(self, name: str, error: RepositoryError) -> None:
        """Leave a tier alone for the rest of the run."""
        with self._lock:
            self.down.setdefault(name, error)

    def __enter__(self) -> Self:
        """Nothing is opened yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what was opened."""
        for tier in self._opened.values():
            tier.close()
