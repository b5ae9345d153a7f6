"""How running work is asked to stop: one token, set by a signal, tested between objects and chunks."""

import threading

from repository.errors import OperationCancelledError


class StopToken:
    """Set once, never cleared. A stopped token starts no new write."""

    def __init__(self) -> None:
        self._event = threading.Event()

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
