"""The experiment's end of the connection to drill; any thread may use it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading

from drill.engines.chaostoolkit import wire


class Line:
    """Speaks to drill, and waits for its word."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._file = self._socket.makefile("rb")
        self._lock = threading.Lock()
        self._waiting: dict[int, threading.Event] = {}

    def task(self) -> wire.Task:
        """What is to be done; from now on drill's answers are heard."""
        message = wire.read(self._file.readline())
        assert isinstance(message, wire.Task)
        threading.Thread(target=self._listen, daemon=True).start()
        return message

    def say(self, message: wire.AnyMessage) -> None:
        with self._lock:
            self._socket.sendall(wire.line(message))

    def ask(self, question: wire.Ask) -> None:
        """Returns once drill has the intent on disk; never, if drill is gone."""
        answered = self._waiting[question.call] = threading.Event()
        self.say(question)
        answered.wait()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            for text in self._file:
                message = wire.read(text)
                if isinstance(message, wire.Go):
                    self._waiting.pop(message.call).set()
        # drill has hung up: nothing more may happen, neither here nor in what was started from here.
        os.killpg(os.getpgrp(), signal.SIGKILL)
