"""The library's log in Python's."""

from __future__ import annotations

import atexit
import logging
from typing import Any, Optional

from ._library import call, ffi, lib, text

_LEVELS = {
    lib.LUCARNE_LOG_ERROR: logging.ERROR,
    lib.LUCARNE_LOG_WARNING: logging.WARNING,
    lib.LUCARNE_LOG_INFO: logging.INFO,
    lib.LUCARNE_LOG_DEBUG: logging.DEBUG,
    lib.LUCARNE_LOG_TRACE: logging.DEBUG,
}
# Every one that was set: a call that is under way may use it for a moment after the next.
_kept: list[Any] = []


def log_to(logger: Optional[logging.Logger]) -> None:
    """Sends the library's log to a logger from now on; None sends it nowhere, as at first. It is called on any thread."""
    if logger is None:
        call(lib.lucarne_log_to, ffi.NULL, ffi.NULL)
        return

    def log(level: int, line: Any, _data: Any) -> None:
        logger.log(_LEVELS.get(level, logging.DEBUG), "%s", text(line))

    function = ffi.callback("void(uint32_t, const char *, void *)", log)
    _kept.append(function)
    call(lib.lucarne_log_to, function, ffi.NULL)


# Before the interpreter goes: afterwards nothing could be called.
atexit.register(log_to, None)
