"""Frames of other programs as numpy arrays, and arrays as frames, without copying a pixel.

>>> import lucarne
>>> with lucarne.Consumer("scene") as scene:         # doctest: +SKIP
...     with scene.receive(timeout=5) as frame:
...         print(frame.width, frame.height, frame.format, frame.array.mean())

A stream has a name and one `Producer`; any number of `Consumer` watch it. Both work with the CPU: an array shows the frame's memory
itself, and drawing programs on the other side use their GPU.
"""

from ._color import Color
from ._consumer import Consumer
from ._errors import (
    Breach,
    Closed,
    DriverError,
    Ended,
    Error,
    FenceFailed,
    ForeignDevice,
    InUse,
    InvalidArgument,
    KernelError,
    NotCurrent,
    NotFound,
    Panic,
    PeerGone,
    Reason,
    Refused,
    Timeout,
    Unsupported,
    WouldBlock,
)
from ._events import Event
from ._formats import Channel, Format, Plane
from ._frames import DmaBufPlane, Frame, Rectangle
from ._library import library_path, library_version
from ._log import log_to
from ._producer import Producer, WritableFrame
from ._streams import Stream, streams
from ._tickets import SharedFrame, allocate, allow_fetch_by, fetch, open_ticket
from ._abi import VERSION as __version__

__all__ = [
    "Breach",
    "Channel",
    "Closed",
    "Color",
    "Consumer",
    "DmaBufPlane",
    "DriverError",
    "Ended",
    "Error",
    "Event",
    "FenceFailed",
    "ForeignDevice",
    "Format",
    "Frame",
    "InUse",
    "InvalidArgument",
    "KernelError",
    "NotCurrent",
    "NotFound",
    "Panic",
    "PeerGone",
    "Plane",
    "Producer",
    "Reason",
    "Rectangle",
    "Refused",
    "SharedFrame",
    "Stream",
    "Timeout",
    "Unsupported",
    "WouldBlock",
    "WritableFrame",
    "__version__",
    "allocate",
    "allow_fetch_by",
    "fetch",
    "library_path",
    "library_version",
    "log_to",
    "open_ticket",
    "streams",
]
