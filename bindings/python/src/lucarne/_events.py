"""What happens to a stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterator, Optional

from ._color import Color, color_of
from ._errors import InvalidArgument, Reason
from ._formats import format_name
from ._library import ffi, fill, lib, reasons, text

_KINDS = {
    lib.LUCARNE_EVENT_JOINED: "joined",
    lib.LUCARNE_EVENT_LEFT: "left",
    lib.LUCARNE_EVENT_GENERATION: "generation",
    lib.LUCARNE_EVENT_IMPORT_FAILED: "import-failed",
    lib.LUCARNE_EVENT_PAUSED: "paused",
    lib.LUCARNE_EVENT_RESUMED: "resumed",
    lib.LUCARNE_EVENT_ENDED: "ended",
    lib.LUCARNE_EVENT_LOST: "lost",
}


@dataclass(frozen=True)
class Event:
    """Something that happened to a stream. What a kind does not tell is 0, empty or None."""

    #: To a producer ``"joined"``, ``"left"``; to both ``"generation"``; to a consumer ``"import-failed"``, ``"paused"``, ``"resumed"``,
    #: ``"ended"``, ``"lost"``. New kinds may come.
    kind: str
    #: The reason, or the name of who came.
    text: str
    #: The consumer's number, which a stream never uses twice.
    consumer: int
    #: The consumer's process.
    pid: int
    #: The generation's number, its frames' size and format, and its rung, 1 to 4.
    generation: int
    width: int
    height: int
    format: Optional[str]
    rung: int
    #: Why each better rung was refused.
    refused: tuple[Reason, ...]
    #: To a consumer: what the generation's frames mean.
    color: Optional[Color]


def _color(event: Any) -> Optional[Color]:
    try:
        return color_of(fill("lucarne_color", lib.lucarne_event_color, event))
    except InvalidArgument:
        # Of another kind, or a producer's.
        return None


def drain(next_event: Callable[[Any], Any], stream: Any) -> Iterator[Event]:
    """All that has happened since."""
    while True:
        handle = next_event(stream)
        if handle == ffi.NULL:
            return
        handle = ffi.gc(handle, lib.lucarne_event_free)
        info = fill("lucarne_event_info", lib.lucarne_event_describe, handle)
        yield Event(
            kind=_KINDS.get(info.kind, f"unknown-{info.kind}"),
            text=text(lib.lucarne_event_text(handle)),
            consumer=info.consumer,
            pid=info.pid,
            generation=info.generation,
            width=info.width,
            height=info.height,
            format=format_name(info.format) if info.format else None,
            rung=info.rung,
            refused=reasons(lib.lucarne_event_refused(handle)),
            color=_color(handle),
        )
