"""Frames of another program, as arrays."""

from __future__ import annotations

import os
import threading
import time
from types import TracebackType
from typing import Any, Iterator, Optional, Union

from ._device import cpu
from ._errors import Closed, Ended, InvalidArgument, NotFound, WouldBlock
from ._events import Event, drain
from ._frames import Frame, nanoseconds
from ._library import c_text, call, ffi, lib, make
from ._waiting import wait_for

_DELIVERIES = {"latest": lib.LUCARNE_DELIVERY_LATEST, "every": lib.LUCARNE_DELIVERY_EVERY}
# A try to connect blocks no longer than this, so that Ctrl-C is heard.
_TRY = 0.2


class Consumer:
    """Watches a stream. Connecting waits until there is one, `timeout` seconds at most, and raises `NotFound` then.

    `delivery` is ``"latest"``, what a display wants, or ``"every"``, what a recorder wants. `folder` is where the stream's socket lies,
    by default ``$XDG_RUNTIME_DIR/lucarne``. `patience` is how long a release may wait for a fence that cannot be sent.

    Any thread may use it; calls of several wait for each other, but not for a thread that waits for a frame. End it with ``with`` or
    `close`.
    """

    def __init__(
        self,
        name: str,
        *,
        folder: Optional[Union[str, "os.PathLike[str]"]] = None,
        delivery: str = "latest",
        timeout: float = 1.0,
        patience: float = 0.5,
        allow_other_users: bool = False,
    ) -> None:
        self._consumer: Any = None
        self._lock = threading.RLock()
        #: The stream's name.
        self.name = name
        if delivery not in _DELIVERIES:
            raise InvalidArgument(f"delivery is {delivery!r}, but must be one of {', '.join(_DELIVERIES)}")
        options = ffi.new("lucarne_consumer_options *")
        options.delivery = _DELIVERIES[delivery]
        options.patience = max(1, nanoseconds(patience, "patience"))
        options.allow_other_users = int(allow_other_users)
        where = c_text(None if folder is None else os.fspath(folder), "folder")
        until = time.monotonic() + nanoseconds(timeout) / 1e9
        while self._consumer is None:
            left = max(0.0, until - time.monotonic())
            try:
                self._consumer = make(
                    "lucarne_consumer",
                    lib.lucarne_consumer_free,
                    lib.lucarne_consumer_connect,
                    where,
                    c_text(name, "name"),
                    cpu(),
                    lib.LUCARNE_USAGE_SAMPLE,
                    options,
                    nanoseconds(min(left, _TRY)),
                )
            except NotFound:
                if left <= _TRY:
                    raise

    def _open(self) -> Any:
        if self._consumer is None:
            raise Closed("the consumer was closed")
        return self._consumer

    def try_receive(self, *, timeout: float = 1.0) -> Optional[Frame]:
        """The next frame, or None where there is none yet. `timeout` is for the work of the frame's writer, which may last longer than
        its message takes.

        Raises `Ended` once the stream has ended, `PeerGone` once its producer is gone, `Refused` where it refused.
        """
        with self._lock:
            consumer = self._open()
            place = ffi.new("lucarne_reading **")
            try:
                call(lib.lucarne_consumer_try_receive, consumer, place)
            except WouldBlock:
                return None
            return Frame(place[0], self._lock, timeout)

    def receive(self, timeout: float = 1.0) -> Frame:
        """As `try_receive`, but waits for a frame, `timeout` seconds at most, and raises `Timeout` then."""
        return wait_for(lambda left: self.try_receive(timeout=left), self.fileno(), timeout, f"a frame of {self.name}")

    def frames(self, timeout: float = 1.0) -> Iterator[Frame]:
        """All frames until the stream ends. Each is released when the next is asked for."""
        while True:
            try:
                frame = self.receive(timeout)
            except Ended:
                return
            with frame:
                yield frame

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def fileno(self) -> int:
        """A descriptor for an event loop: readable when something has come, after `try_receive` had nothing. Do not close it."""
        with self._lock:
            return int(lib.lucarne_consumer_fd(self._open()))

    def dispatch(self) -> None:
        """Serves the socket: new generations, farewells. Does not wait. `receive` and its kin do the same."""
        with self._lock:
            call(lib.lucarne_consumer_dispatch, self._open())

    def reconnect(self) -> None:
        """Connects again after the producer was lost, to the one that has the name now. Frames that are held stay as they are."""
        with self._lock:
            call(lib.lucarne_consumer_reconnect, self._open())

    def events(self) -> list[Event]:
        """What has happened since this was asked last; the newest 256 at most."""
        with self._lock:
            return list(drain(lib.lucarne_consumer_event, self._open()))

    @property
    def producer_pid(self) -> int:
        """The producer's process; 0 where it has no number here."""
        with self._lock:
            return int(lib.lucarne_consumer_producer_pid(self._open()))

    def close(self) -> None:
        """Hangs up. Frames that are held stay readable. A second call does nothing."""
        with self._lock:
            consumer, self._consumer = self._consumer, None
            if consumer is not None:
                ffi.release(consumer)

    def __enter__(self) -> "Consumer":
        self._open()
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<lucarne.Consumer of {self.name}{' closed' if self._consumer is None else ''}>"
