"""Waiting in Python, so that Ctrl-C and other threads get their turn."""

from __future__ import annotations

import select
import time
from typing import Callable, Optional, TypeVar

from ._errors import Timeout
from ._frames import nanoseconds
from ._library import lib

T = TypeVar("T")

# The library serves what comes; a look from time to time costs nothing, and hears of a peer that died without a word.
_LOOK = 0.05


def wait_for(attempt: Callable[[float], Optional[T]], fd: int, timeout: float, what: str, soonest: Callable[[], float] = lambda: _LOOK) -> T:
    """Tries until something comes, for `timeout` seconds at most; sleeps on the descriptor in between. A try is told what is left."""
    nanoseconds(timeout)
    until = time.monotonic() + timeout
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while True:
        left = max(0.0, until - time.monotonic())
        found = attempt(left)
        if found is not None:
            return found
        if left <= 0:
            code = lib.LUCARNE_STATUS_TIMEOUT
            raise Timeout(f"{what} did not come within {timeout} s", code=code, name="timeout")
        poll.poll(max(1, min(left, _LOOK, soonest()) * 1000))
