"""Which streams there are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Optional, Union

from ._formats import format_name
from ._frames import PATHS
from ._library import c_text, fill, lib, make, text

_STATES = {lib.LUCARNE_STREAM_WAITING: "waiting", lib.LUCARNE_STREAM_STREAMING: "streaming", lib.LUCARNE_STREAM_PAUSED: "paused"}


@dataclass(frozen=True)
class Stream:
    """What a producer says of its stream."""

    name: str
    #: ``"waiting"`` while nobody has agreed on anything yet, ``"streaming"`` or ``"paused"``.
    state: str
    #: The producer's device.
    device: str
    #: The producer's process; 0 where it has no number here.
    pid: int
    width: int
    height: int
    #: The frames' format; None until there is one.
    format: Optional[str]
    #: Their memory; None until there is one.
    path: Optional[str]
    #: How many consumers there are.
    consumers: int
    #: The generation; 0 before the first.
    generation: int
    #: How many frames were sent.
    frames: int
    #: How long the producer has had the name, in seconds.
    age: float


def streams(folder: Optional[Union[str, "os.PathLike[str]"]] = None) -> list[Stream]:
    """Looks for streams, by name. Asks each producer, and waits half a second at most for each."""
    where = c_text(None if folder is None else os.fspath(folder), "folder")
    found = make("lucarne_streams", lib.lucarne_streams_free, lib.lucarne_streams_find, where)
    listed = []
    for index in range(lib.lucarne_streams_count(found)):
        info = fill("lucarne_stream_info", lib.lucarne_streams_at, found, index)
        listed.append(
            Stream(
                name=text(lib.lucarne_streams_name(found, index)),
                state=_STATES.get(info.state, f"unknown-{info.state}"),
                device=text(lib.lucarne_streams_device(found, index)),
                pid=info.pid,
                width=info.width,
                height=info.height,
                format=format_name(info.format) if info.format else None,
                path=PATHS.get(info.path),
                consumers=info.consumers,
                generation=info.generation,
                frames=info.frames,
                age=info.age / 1e9,
            )
        )
    return listed
