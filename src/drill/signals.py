"""What people say to stop a run: by signals, or from another terminal."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


class Signals:
    """
    SIGINT, SIGTERM and SIGHUP stop the run; further ones do not lose the undo or the reports.

    One that was ignored when drill was started (nohup) stays ignored.

    Attributes:
        heard: One came.
    """

    def __init__(self) -> None:
        self._listener: Callable[[str], object] | None = None
        self._unheard = ""
        self.heard = False
        self._numbers = [
            number
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            if signal.getsignal(number) is not signal.SIG_IGN
        ]

    def tell(self, listener: Callable[[str], object] | None) -> None:
        """From now on *listener* hears of signals, beginning with one that came while nobody listened."""
        self._listener = listener
        if listener and self._unheard:
            listener(self._unheard)

    def __enter__(self) -> Signals:
        loop = asyncio.get_running_loop()
        for number in self._numbers:
            loop.add_signal_handler(number, self._signalled, number)
        return self

    def __exit__(self, *exc: object) -> None:
        loop = asyncio.get_running_loop()
        for number in self._numbers:
            loop.remove_signal_handler(number)

    def order(self, reason: str) -> None:
        """Stop as if by a signal: somebody said so in another way."""
        self.heard = True
        if self._listener:
            self._listener(reason)
        else:
            self._unheard = reason

    def _signalled(self, number: signal.Signals) -> None:
        self.order(f"stopped by a person ({number.name})")
