"""How running work is asked to stop: one token, set by a signal, tested between objects and chunks."""

import threading
from typing import TYPE_CHECKING

from repository.errors import OperationCancelledError

if TYPE_CHECKING:
    import multiprocessing.synchronize


class StopToken:
    """Set once, never cleared. A stopped token starts no new write.

    Args:
        event: a `multiprocessing` event makes a token that works across processes.
    """

    def __init__(self, event: "threading.Event | multiprocessing.synchronize.Event | None" = None) -> None:
        self._event = event or threading.Event()

    def set(self) -> None:
        """Ask everybody who holds this token to stop."""
        self._event.set()

    @property
    def is_set(self) -> bool:
        """Whether somebody has asked to stop."""
        return self._event.is_set()

    def check(self) -> None:
        """Raise OperationCancelledError when somebody has asked to stop."""
        if self._event.is_set():
            raise OperationCancelledError("Stopped on request; what was acknowledged is safe")

    def wait(self, seconds: float) -> bool:
        """Wait so long, or less when asked to stop; True when asked to stop."""
        return self._event.wait(seconds)
