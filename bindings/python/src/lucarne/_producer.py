"""Arrays as frames for other programs."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Any, Iterable, Optional, Sequence, Union

from ._color import Color, codes_of
from ._device import cpu
from ._errors import Closed, InvalidArgument, WouldBlock
from ._events import Event, drain
from ._formats import Format
from ._frames import PATHS, Rectangle, Writable, nanoseconds
from ._library import c_text, call, ffi, lib, make
from ._waiting import wait_for

FormatLike = Union[Format, str, int]
_PATH_CODES = {name: code for code, name in PATHS.items()}


class WritableFrame(Writable):
    """A slot of a stream that may be written until it is published: at the end of ``with``, or by `publish`.

    Its arrays show what the slot held before. An exception within ``with`` discards it.
    """

    _what = "turn to write"

    def __init__(self, writing: Any, producer: "Producer", timeout: float) -> None:
        frame, image = lib.lucarne_writing_frame(writing), lib.lucarne_writing_image(writing)
        # Set first: whatever fails below gives the slot back.
        self._writing = ffi.gc(writing, lib.lucarne_writing_free)
        super().__init__(frame, image, producer._lock)
        self._producer = producer
        #: The generation that it is of: another has another size, format or memory.
        self.generation: int = lib.lucarne_writing_generation(writing)
        #: Its number within the generation.
        self.index: int = lib.lucarne_writing_index(writing)
        self._map(lib.lucarne_image_map_write, lib.lucarne_writing_gate(writing), timeout, writable=True)

    def publish(self, *, timestamp: Optional[int] = None, damage: Optional[Iterable[Sequence[int]]] = None) -> int:
        """Passes the frame to every consumer, and returns how many have it.

        `timestamp` is in nanoseconds on CLOCK_MONOTONIC, by default now. `damage` lists what has changed since the frame before, as
        ``(x, y, width, height)`` in pixels; None stands for everything.
        """
        rectangles = None if damage is None else [_checked(one) for one in damage]
        with self._lock:
            producer = self._producer._open()
            fence = self._end_mapping()
            writing, self._writing = self._writing, None
            # Ended by the call below, whatever it answers.
            ffi.gc(writing, None)
            count = ffi.new("size_t *")
            when = lib.lucarne_now() if timestamp is None else timestamp
            if rectangles is None:
                call(lib.lucarne_producer_send, producer, writing, fence, when, count)
            else:
                listed = ffi.new("lucarne_damage[]", [tuple(one) for one in rectangles])
                call(lib.lucarne_producer_send_with_damage, producer, writing, fence, when, listed, len(rectangles), count)
            return int(count[0])

    def discard(self) -> None:
        """Gives the slot back unseen. A second call does nothing, nor does one after `publish`."""
        with self._lock:
            if self._mapping is None:
                return
            writing, self._writing = self._writing, None
            self._end_mapping()
            ffi.release(writing)

    def _abandon(self) -> None:
        self.discard()

    @property
    def ended(self) -> bool:
        """Whether it was published or discarded."""
        return self._mapping is None

    def __enter__(self) -> "WritableFrame":
        self._check()
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        if kind is not None:
            self.discard()
        elif not self.ended:
            self.publish()

    def __repr__(self) -> str:
        state = " ended" if self.ended else ""
        return f"<lucarne.WritableFrame {self.width}x{self.height} {self.format} in {self.path}{state}>"


def _checked(one: Sequence[int]) -> tuple[int, int, int, int]:
    if isinstance(one, Rectangle):
        one = (one.x, one.y, one.width, one.height)
    if len(one) != 4 or any(not 0 <= number < 1 << 32 for number in one):
        raise InvalidArgument(f"damage has {one!r}, but must have (x, y, width, height) in pixels")
    return (one[0], one[1], one[2], one[3])


class Producer:
    """Gives frames to other programs under a name: 1 to 64 of ``a-z A-Z 0-9 - _ .``, no dot first.

    `formats` lists what may be made, best first, as names or DRM's codes; by default the 8-bit formats that every driver has. The first
    consumer decides among them. `color` says what their numbers mean, where that is not the format's default. `paths` restricts the memory: ``"dma-buf"``, ``"host-memory"``. `allocator` is where memory comes from:
    ``"best"``, ``"udmabuf"``, ``"dma-heap"``, ``"host-memory"``. `folder` is where the socket lies, by default
    ``$XDG_RUNTIME_DIR/lucarne``. `slots` are how many frames there are, 2 to 16. A consumer that takes longer than `patience` seconds
    is cut off.

    Any thread may use it; calls of several wait for each other, but not for a thread that waits for a slot. End it with ``with`` or
    `end`, which tell consumers so.
    """

    def __init__(
        self,
        name: str,
        width: int,
        height: int,
        *,
        formats: Optional[Sequence[FormatLike]] = None,
        paths: Optional[Sequence[str]] = None,
        color: Optional[Color] = None,
        folder: Optional[Union[str, "os.PathLike[str]"]] = None,
        allocator: str = "best",
        slots: int = 3,
        consumers: int = 64,
        patience: float = 0.5,
        allow_other_users: bool = False,
    ) -> None:
        self._producer: Any = None
        self._lock = threading.RLock()
        self._paths = paths
        self._formats = formats
        self._color = color
        #: The stream's name.
        self.name = name
        options = ffi.new("lucarne_producer_options *")
        options.slots = slots
        options.consumers = consumers
        options.patience = max(1, nanoseconds(patience, "patience"))
        options.allow_other_users = int(allow_other_users)
        where = c_text(None if folder is None else os.fspath(folder), "folder")
        self._producer = make(
            "lucarne_producer",
            lib.lucarne_producer_free,
            lib.lucarne_producer_bind,
            where,
            c_text(name, "name"),
            cpu(allocator),
            self._request(width, height),
            options,
        )

    def _request(self, width: int, height: int) -> Any:
        request = make("lucarne_request", lib.lucarne_request_free, lib.lucarne_request_new, width, height)
        if self._formats is not None:
            codes = [Format.of(one).code for one in self._formats]
            call(lib.lucarne_request_set_formats, request, codes, len(codes))
        if self._paths is not None:
            unknown = [path for path in self._paths if path not in _PATH_CODES]
            if unknown:
                raise InvalidArgument(f"paths has {unknown[0]!r}, but must be made of {', '.join(_PATH_CODES)}")
            codes = [_PATH_CODES[path] for path in self._paths]
            call(lib.lucarne_request_set_paths, request, codes, len(codes))
        if self._color is not None:
            call(lib.lucarne_request_set_color, request, codes_of(self._color))
        return request

    def _open(self) -> Any:
        if self._producer is None:
            raise Closed("the producer was ended")
        return self._producer

    def try_acquire(self, *, timeout: float = 1.0) -> Optional[WritableFrame]:
        """A slot to write, or None while nobody has connected yet, or all slots are with consumers. `timeout` is for the work of the
        slot's last readers."""
        with self._lock:
            producer = self._open()
            place = ffi.new("lucarne_writing **")
            try:
                call(lib.lucarne_producer_try_acquire, producer, place)
            except WouldBlock:
                return None
            return WritableFrame(place[0], self, timeout)

    def acquire(self, timeout: float = 1.0) -> WritableFrame:
        """As `try_acquire`, but waits for a slot, `timeout` seconds at most, and raises `Timeout` then. Consumers are served meanwhile."""
        return wait_for(self._attempt, self.fileno(), timeout, f"a free slot of {self.name}", self._soonest)

    def _attempt(self, left: float) -> Optional[WritableFrame]:
        frame = self.try_acquire(timeout=left)
        if frame is None:
            self.dispatch()
        return frame

    def _soonest(self) -> float:
        """When to serve next at the latest, in seconds."""
        return self.next_timeout or 0.0

    def send(
        self, *planes: Any, timestamp: Optional[int] = None, damage: Optional[Iterable[Sequence[int]]] = None, timeout: float = 1.0
    ) -> int:
        """Copies arrays into the next free slot and passes it on: `acquire`, `WritableFrame.write` and `WritableFrame.publish`."""
        frame = self.acquire(timeout)
        try:
            frame.write(*planes)
            return frame.publish(timestamp=timestamp, damage=damage)
        finally:
            frame.discard()

    def fileno(self) -> int:
        """A descriptor for an event loop: readable when `dispatch` has something to do. Do not close it."""
        with self._lock:
            return int(lib.lucarne_producer_fd(self._open()))

    @property
    def next_timeout(self) -> Optional[float]:
        """In how many seconds `dispatch` should be called at the latest if nothing is readable before; None for never."""
        with self._lock:
            left = int(lib.lucarne_producer_timeout(self._open()))
        return None if left == 0xFFFF_FFFF_FFFF_FFFF else left / 1e9

    def dispatch(self) -> None:
        """Serves the sockets: lets newcomers in, hears answers. Does not wait."""
        with self._lock:
            call(lib.lucarne_producer_dispatch, self._open())

    def reconfigure(
        self, width: int, height: int, formats: Optional[Sequence[FormatLike]] = None, color: Optional[Color] = None
    ) -> None:
        """Asks for frames of another size, and of other formats and colours where they are given. A new generation follows; slots that are being
        written then are sent to nobody."""
        with self._lock:
            producer = self._open()
            if formats is not None:
                self._formats = formats
            if color is not None:
                self._color = color
            call(lib.lucarne_producer_reconfigure, producer, self._request(width, height))

    def pause(self) -> None:
        """Tells consumers that no frames come for a while."""
        with self._lock:
            call(lib.lucarne_producer_pause, self._open())

    def resume(self) -> None:
        """Tells consumers that frames come again."""
        with self._lock:
            call(lib.lucarne_producer_resume, self._open())

    def events(self) -> list[Event]:
        """What has happened since this was asked last; the newest 256 at most."""
        with self._lock:
            return list(drain(lib.lucarne_producer_event, self._open()))

    @property
    def consumers(self) -> int:
        """How many consumers get frames."""
        with self._lock:
            return int(lib.lucarne_producer_consumers(self._open()))

    @property
    def sequence(self) -> int:
        """The number of the last frame that was sent; 0 before the first."""
        with self._lock:
            return int(lib.lucarne_producer_sequence(self._open()))

    def end(self) -> None:
        """Ends the stream: consumers hear so, and can still take what was sent. A second call does nothing."""
        with self._lock:
            producer, self._producer = self._producer, None
            if producer is not None:
                # Ended here, and by nobody else.
                ffi.gc(producer, None)
                lib.lucarne_producer_end(producer)

    def close(self) -> None:
        """Hangs up without a word, as a program that dies does: consumers may wait for the next producer of the name."""
        with self._lock:
            producer, self._producer = self._producer, None
            if producer is not None:
                ffi.release(producer)

    def __enter__(self) -> "Producer":
        self._open()
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.end()

    def __repr__(self) -> str:
        return f"<lucarne.Producer of {self.name}{' ended' if self._producer is None else ''}>"
