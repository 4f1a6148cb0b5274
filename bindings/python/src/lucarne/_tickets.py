"""Frames without a stream: of one's own, and of another process that takes no part."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Optional

from ._device import cpu
from ._formats import Format
from ._frames import Writable
from ._library import c_text, call, lib, make


class SharedFrame(Writable):
    """A frame of one's own, or one that a ticket led to, as arrays of its memory until it is closed: at the end of ``with``, or by `close`.

    Nobody passes turns here: agree with the other process on who draws when. Arrays can be written where `writable` is true.
    """

    _what = "frame"

    def __init__(self, frame: Any, image: Any, writable: bool, timeout: float) -> None:
        super().__init__(frame, image, threading.RLock())
        #: Whether its arrays can be written.
        self.writable = writable
        begin = lib.lucarne_image_map_write if writable else lib.lucarne_image_map_read
        fence = make("lucarne_fence", lib.lucarne_fence_free, lib.lucarne_fence_signaled)
        self._map(begin, fence, timeout, writable=writable)

    def close(self) -> None:
        """Ends the access. A second call does nothing."""
        if self._mapping is not None:
            self._end_mapping()

    def _abandon(self) -> None:
        self.close()

    def __enter__(self) -> "SharedFrame":
        self._check()
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    def __repr__(self) -> str:
        state = " closed" if self._mapping is None else ""
        return f"<lucarne.SharedFrame {self.width}x{self.height} {self.format} in {self.path}{state}>"


def _shown(frame: Any, writable: bool, timeout: float) -> SharedFrame:
    image = make("lucarne_image", lib.lucarne_image_free, lib.lucarne_device_import, cpu(), frame, lib.LUCARNE_USAGE_SAMPLE)
    return SharedFrame(frame, image, writable, timeout)


def fetch(ticket: str, *, writable: bool = False, timeout: float = 1.0) -> SharedFrame:
    """Fetches a ticket's frame, of any memory. The process that keeps it takes no part; this one must be allowed to trace it
    (docs/shared-memory.md). Raises `NotFound` where the process or the frame is another by now."""
    frame = make("lucarne_frame", lib.lucarne_frame_free, lib.lucarne_ticket_fetch, c_text(ticket, "ticket"))
    return _shown(frame, writable, timeout)


def open_ticket(ticket: str, *, writable: bool = False, timeout: float = 1.0) -> SharedFrame:
    """Opens a ticket's frame of host memory, which the same user may always do."""
    access = lib.LUCARNE_TICKET_READ_WRITE if writable else lib.LUCARNE_TICKET_READ
    frame = make("lucarne_frame", lib.lucarne_frame_free, lib.lucarne_ticket_open, c_text(ticket, "ticket"), access)
    return _shown(frame, writable, timeout)


def allow_fetch_by(pid: int) -> None:
    """Lets a process, and what it starts, fetch frames of this one, where Yama asks for that. It may then also trace this process."""
    call(lib.lucarne_ticket_allow_fetch_by, pid)


def allocate(width: int, height: int, format: Format | str | int, *, allocator: str = "best") -> SharedFrame:
    """A frame of one's own, for tickets and for libraries that take dma-bufs; zeroed. `allocator` is as in `Producer`."""
    device = cpu(allocator)
    offer = make("lucarne_offer", lib.lucarne_offer_free, lib.lucarne_device_offer, device, lib.LUCARNE_USAGE_RENDER)
    request = make("lucarne_request", lib.lucarne_request_free, lib.lucarne_request_new, width, height)
    call(lib.lucarne_request_set_formats, request, [Format.of(format).code], 1)
    call(lib.lucarne_request_set_usage, request, lib.LUCARNE_USAGE_RENDER, lib.LUCARNE_USAGE_RENDER)
    agreement = make("lucarne_agreement", lib.lucarne_agreement_free, lib.lucarne_negotiate, offer, offer, request)
    image = make("lucarne_image", lib.lucarne_image_free, lib.lucarne_device_export, device, agreement)
    return SharedFrame(lib.lucarne_image_frame(image), image, True, 1.0)
