"""A wish to stop, noted by a signal and obeyed between two steps."""

import signal
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Set by SIGINT or SIGTERM; a second signal stops at once, as KeyboardInterrupt."""

    def __init__(self) -> None:
        self.is_set = False
        self.signal_name = ""

    def ask(self, number: int, frame: FrameType | None = None) -> None:
        """Note the wish; fits `signal.signal`."""
        if self.is_set:
            raise KeyboardInterrupt
        self.is_set, self.signal_name = True, signal.Signals(number).name

    @contextmanager
    def on_signals(self) -> Generator["StopRequest"]:
        """Listen inside the block; the handlers from before are put back."""
        before = {n: signal.signal(n, self.ask) for n in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
