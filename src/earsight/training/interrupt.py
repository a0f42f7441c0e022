"""A wish to stop, noted by a signal and obeyed between two steps."""

import signal
import time
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

SAME_SECONDS = 2.0
"""Signals this close are one wish: a terminal and torchrun both pass on a Ctrl-C."""


class StopRequest:
    """Set by SIGINT or SIGTERM; another one later stops at once, as KeyboardInterrupt."""

    def __init__(self) -> None:
        self.is_set = False
        self.signal_name = ""
        self._asked_at = 0.0

    def ask(self, number: int, frame: FrameType | None = None) -> None:
        """Note the wish; fits `signal.signal`."""
        if not self.is_set:
            self.is_set, self.signal_name = True, signal.Signals(number).name
            self._asked_at = time.monotonic()
        elif time.monotonic() - self._asked_at > SAME_SECONDS:
            raise KeyboardInterrupt

    @contextmanager
    def on_signals(self) -> Generator["StopRequest"]:
        """Listen inside the block; the handlers from before are put back."""
        before = {n: signal.signal(n, self.ask) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
