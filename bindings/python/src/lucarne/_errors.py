"""What can go wrong: an exception for each status of the library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Reason:
    """One reason why something, or something better, was refused."""

    #: The rung that it is about, 1 (the best) to 4; 0 where it is about none.
    rung: int
    #: Whose fault it is: ``"producer"``, ``"consumer"``, or None.
    side: Optional[str]
    #: What kind of thing is missing: ``"extension"``, ``"device-node"``, ``"none"``, and so on.
    kind: str
    #: The name of what is missing; empty where it has none.
    name: str
    #: Whether the thing is there, and enabling or permitting it would be enough.
    available: bool
    #: DRM's code of the format that it is about; 0 for all.
    format: int
    #: The modifier that it is about. Only meaningful where ``format`` is not 0.
    modifier: int
    #: The reason as a sentence.
    text: str

    def __str__(self) -> str:
        return self.text


class Error(Exception):
    """Something that Lucarne did not do. Nothing was done then.

    ``code`` is the library's status, ``name`` its name, and ``reasons`` say what is missing, as data.
    """

    def __init__(self, message: str, *, code: int = 0, name: str = "", reasons: tuple[Reason, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.name = name
        self.reasons = reasons


class InvalidArgument(Error, ValueError):
    """An argument is out of its limits. The message names it, its value and its limit."""


class Unsupported(Error):
    """This machine or driver cannot do it. The reasons list what is missing."""


class Refused(Error):
    """Two sides have nothing in common, or the peer refused. The reasons tell of each rung."""


class Timeout(Error, TimeoutError):
    """It did not happen in time."""


class WouldBlock(Error, BlockingIOError):
    """There is nothing yet, and the call does not wait."""


class KernelError(Error):
    """The kernel refused."""


class DriverError(Error):
    """A graphics driver refused."""


class FenceFailed(Error):
    """The work behind a fence ended in an error, a GPU's reset for instance."""


class ForeignDevice(Error):
    """The frame's memory belongs to a device that this one cannot read."""


class NotCurrent(Error):
    """The EGL context is not current on this thread."""


class NotFound(Error, LookupError):
    """There is no such stream."""


class InUse(Error):
    """Somebody else has the name."""


class Ended(Error, EOFError):
    """The stream has ended, and all of its frames were taken."""


class PeerGone(Error, ConnectionError):
    """The peer hung up, or died. Frames that are held stay readable."""


class Breach(Error):
    """The peer broke the protocol. The connection is over."""


class Panic(Error):
    """A fault of Lucarne's own. What the call worked on may only be closed."""


class Closed(Error, ValueError):
    """It was closed, released or sent before."""


# The statuses of lucarne.h, from 1. `Closed` is this package's own.
_CLASSES: tuple[type[Error], ...] = (
    InvalidArgument,
    Unsupported,
    Refused,
    Timeout,
    WouldBlock,
    KernelError,
    DriverError,
    FenceFailed,
    ForeignDevice,
    NotCurrent,
    NotFound,
    InUse,
    Ended,
    PeerGone,
    Breach,
    Panic,
)


def error_class(status: int) -> type[Error]:
    """The exception of a status; `Error` itself for one that came later."""
    return _CLASSES[status - 1] if 1 <= status <= len(_CLASSES) else Error
