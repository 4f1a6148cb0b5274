"""Turns: a frame that may be read, and one that may be written, as arrays over the memory itself."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Callable, Optional

import numpy as np

from . import _ycbcr
from ._color import Color, color_of
from ._errors import Closed, InvalidArgument
from ._formats import Format, modifier_name, rgba
from ._library import call, ffi, fill, lib, make, text

#: The memory that frames lie in, by the library's numbers.
PATHS = {
    lib.LUCARNE_PATH_DMA_BUF: "dma-buf",
    lib.LUCARNE_PATH_OPAQUE_FD: "opaque-fd",
    lib.LUCARNE_PATH_HOST_MEMORY: "host-memory",
}


def nanoseconds(seconds: float, name: str = "timeout") -> int:
    """A time for the library, which never waits without a limit."""
    if not 0 <= seconds <= 1e9:
        raise InvalidArgument(f"{name} is {seconds}, but must be 0 to 1e9 seconds: nothing waits without a limit")
    return int(seconds * 1e9)


@dataclass(frozen=True)
class Rectangle:
    """A part of a frame, in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class DmaBufPlane:
    """One memory plane as other libraries take it. The descriptor is the caller's to close."""

    fd: int
    #: Where the plane starts in the buffer, in bytes.
    offset: int
    #: From one row to the next, in bytes.
    pitch: int


class Mapping:
    """A frame's memory in this process, and the turn to touch it. The memory stays where it is as long as an array shows it."""

    def __init__(self, begin: Callable[..., int], image: Any, fence: Any, timeout: float) -> None:
        self._handle = make("lucarne_mapping", lib.lucarne_mapping_free, begin, image, fence, nanoseconds(timeout))

    def arrays(self, format: Format, writable: bool) -> tuple[np.ndarray[Any, Any], ...]:
        """An array for each plane, whose rows are the frame's pitch apart."""
        return tuple(self._array(format, index, writable) for index in range(len(format.planes)))

    def _array(self, format: Format, index: int, writable: bool) -> np.ndarray[Any, Any]:
        place = fill("lucarne_mapped_plane", lib.lucarne_mapping_plane, self._handle, index)
        size = place.pitch * (place.rows - 1) + place.row_bytes
        # The array keeps the buffer, the buffer this pointer, and the pointer the mapping.
        kept = ffi.gc(ffi.cast("char *", place.address), _keep(self._handle))
        memory = memoryview(ffi.buffer(kept, size))
        plane = format.planes[index]
        shape = plane.shape(place.rows, place.row_bytes)
        width = plane.dtype.itemsize
        strides = (place.pitch, plane.block_bytes, width)[: len(shape)]
        # By way of an array of bytes, which nobody can make writable again where its memory is not.
        flat = np.frombuffer(memory if writable else memory.toreadonly(), np.uint8)
        array: np.ndarray[Any, Any] = np.ndarray(shape, plane.dtype, flat, 0, strides)
        return array

    def end(self) -> Any:
        """Ends the turn, and returns the fence for the next one."""
        return make("lucarne_fence", lib.lucarne_fence_free, lib.lucarne_mapping_end, self._handle)


def _keep(handle: Any) -> Callable[[Any], None]:
    def forget(_pointer: Any, _handle: Any = handle) -> None:
        pass

    return forget


class Turn:
    """What both turns have: the frame's geometry, and its planes as arrays.

    Arrays show the frame's memory itself, without a copy. They may be touched until the turn ends; afterwards the memory is still
    there, but shows whatever others draw: ``copy()`` what you keep.
    """

    def __init__(self, frame: Any, image: Any, lock: Any) -> None:
        layout = fill("lucarne_frame_layout", lib.lucarne_frame_describe, frame)
        self._frame = frame
        self._image = image
        self._lock = lock
        self._mapping: Optional[Mapping] = None
        self._arrays: tuple[np.ndarray[Any, Any], ...] = ()
        #: Pixels in a row.
        self.width: int = layout.width
        #: Rows.
        self.height: int = layout.height
        #: The pixels' format.
        self.format: Format = Format.of(layout.format)
        #: The modifier, by name.
        self.modifier: str = modifier_name(layout.modifier)
        #: The memory: ``"dma-buf"`` or ``"host-memory"``.
        self.path: str = PATHS.get(layout.path, "unknown")
        #: What the numbers mean.
        self.color: Color = color_of(fill("lucarne_color", lib.lucarne_frame_color, frame))
        #: Whether the memory is an emulated dma-buf, which no GPU is given.
        self.emulated: bool = bool(layout.emulated)

    @property
    def planes(self) -> tuple[np.ndarray[Any, Any], ...]:
        """An array for each plane of the format: rows first, then columns, then the channels in the order of memory."""
        self._check()
        return self._arrays

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The array of a format with one plane, ``(height, width, 4)`` of bytes for ``XBGR8888``, for instance."""
        planes = self.planes
        if len(planes) != 1:
            raise InvalidArgument(f"format is {self.format}, which has {len(planes)} planes: take them from `planes`")
        return planes[0]

    def rgba(self) -> np.ndarray[Any, Any]:
        """A copy with red, green, blue and opacity in 8 bits each, ``(height, width, 4)``: to save, or to show.

        Y'CbCr is converted by the frame's own matrix and range, without interpolating chroma, and is opaque. `Unsupported` for formats
        whose samples are not whole bytes, such as ``NV15``.
        """
        planes = self.planes
        return _ycbcr.rgba(self._frame, planes) if self.format.is_ycbcr else rgba(self.format, planes[0])

    def copy(self) -> tuple[np.ndarray[Any, Any], ...]:
        """A copy of each plane, which stays as it is."""
        return tuple(plane.copy() for plane in self.planes)

    def ticket(self) -> str:
        """Where the frame's memory is to be had, as text for another process, which takes it with `fetch` or `open_ticket`. It holds
        nothing: keep the frame, or its stream, for as long as it is to be used."""
        self._check()
        place = ffi.new("char[]", lib.LUCARNE_TICKET_BYTES)
        call(lib.lucarne_frame_ticket, self._frame, place, lib.LUCARNE_TICKET_BYTES, ffi.new("size_t *"))
        return text(place)

    def dma_bufs(self) -> tuple[DmaBufPlane, ...]:
        """The frame's dma-bufs for another library, one for each memory plane. The descriptors are new ones, and yours to close."""
        self._check()
        planes = ffi.new("lucarne_dma_buf_plane[]", lib.LUCARNE_MAX_PLANES)
        count = ffi.new("uint32_t *")
        with self._lock:
            call(lib.lucarne_frame_dup_dma_bufs, self._frame, planes, lib.LUCARNE_MAX_PLANES, count)
        return tuple(DmaBufPlane(planes[at].fd, planes[at].offset, planes[at].pitch) for at in range(count[0]))

    def __del__(self) -> None:
        # Absent where making it has failed.
        if getattr(self, "_mapping", None) is not None:
            warnings.warn(f"{self!r} was dropped, and not ended", ResourceWarning, source=self)
            self._abandon()

    def _abandon(self) -> None:
        raise NotImplementedError

    def _map(self, begin: Callable[..., int], fence: Any, timeout: float, writable: bool) -> None:
        self._mapping = Mapping(begin, self._image, fence, timeout)
        self._arrays = self._mapping.arrays(self.format, writable)

    def _check(self) -> None:
        if self._mapping is None:
            raise Closed(f"the {self._what} is over: its arrays are not the frame any more")

    _what = "turn"

    def _end_mapping(self) -> Any:
        """Ends the access to the memory; what is written to these arrays afterwards raises."""
        self._check()
        assert self._mapping is not None
        mapping, self._mapping = self._mapping, None
        for array in self._arrays:
            array.flags.writeable = False
        self._arrays = ()
        return mapping.end()


class Writable(Turn):
    """Arrays that can be drawn into."""

    def write(self, *planes: Any) -> None:
        """Copies arrays into the planes: one for each, of exactly its shape and dtype. Any strides will do."""
        targets = self.planes
        if len(planes) != len(targets):
            raise InvalidArgument(f"{len(planes)} arrays were given, but {self.format} has {len(targets)} planes")
        names = ["picture"] if len(targets) == 1 else [f"planes[{at}]" for at in range(len(targets))]
        for name, source, target in zip(names, planes, targets):
            _check_array(name, source, target)
        for source, target in zip(planes, targets):
            target[...] = source

    def write_rgb(self, picture: Any) -> None:
        """Copies a picture of bytes, ``(height, width, 3)`` with red, green and blue, or 4 with opacity, into a format of 8-bit channels,
        whatever their order."""
        target = self.array
        channels = self.format.planes[0].channels
        if self.format.is_ycbcr or target.dtype != np.uint8 or target.ndim != 3:
            raise InvalidArgument(f"format is {self.format}, but must be one of red, green and blue in 8 bits each")
        depth = picture.shape[2] if isinstance(picture, np.ndarray) and picture.ndim == 3 and picture.shape[2] in (3, 4) else 3
        _check_array("picture", picture, np.empty((self.height, self.width, depth), np.uint8))
        for channel in channels:
            place = "RGBA".find(channel.component)
            target[..., channel.shift // 8] = picture[..., place] if 0 <= place < depth else 255


def _check_array(name: str, source: Any, target: np.ndarray[Any, Any]) -> None:
    if not isinstance(source, np.ndarray):
        raise TypeError(f"{name} is {type(source).__name__}, but must be a numpy array")
    if source.shape != target.shape:
        raise InvalidArgument(f"{name}.shape is {source.shape}, but must be {target.shape}: rows, columns, channels")
    if source.dtype != target.dtype:
        raise InvalidArgument(f"{name}.dtype is {source.dtype}, but must be {target.dtype}: nothing is converted")


class Frame(Turn):
    """A frame of a stream that may be read until it is released: at the end of ``with``, or by `release`."""

    _what = "turn to read"

    def __init__(self, reading: Any, lock: Any, timeout: float) -> None:
        frame, image = lib.lucarne_reading_frame(reading), lib.lucarne_reading_image(reading)
        # Set first: whatever fails below gives the frame back.
        self._reading = ffi.gc(reading, lib.lucarne_reading_free)
        super().__init__(frame, image, lock)
        info = fill("lucarne_frame_info", lib.lucarne_reading_describe, reading)
        #: Its number in the stream, from 1.
        self.sequence: int = info.sequence
        #: When it was made, as its producer says: nanoseconds on CLOCK_MONOTONIC.
        self.timestamp: int = info.timestamp
        #: How many frames this consumer missed between the one before and this.
        self.dropped: int = info.dropped
        #: The generation that it is of: another has another size, format or memory.
        self.generation: int = info.generation
        #: Its slot's number within the generation.
        self.index: int = info.index
        #: What has changed since the frame before; None where everything may have.
        self.damage: Optional[tuple[Rectangle, ...]] = (
            tuple(_rectangle(info.damage[at]) for at in range(info.damage_count)) if info.has_damage else None
        )
        self._map(lib.lucarne_image_map_read, lib.lucarne_reading_acquire(reading), timeout, writable=False)

    def release(self) -> None:
        """Gives the frame back to its producer. A second call does nothing."""
        with self._lock:
            if self._mapping is None:
                return
            reading, self._reading = self._reading, None
            done = self._end_mapping()
            # Ended by the call below, whatever it answers.
            ffi.gc(reading, None)
            call(lib.lucarne_reading_release, reading, done)

    def _abandon(self) -> None:
        self.release()

    @property
    def released(self) -> bool:
        """Whether it was given back."""
        return self._mapping is None

    def __enter__(self) -> "Frame":
        self._check()
        return self

    def __exit__(self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]) -> None:
        self.release()

    def __repr__(self) -> str:
        state = " released" if self.released else ""
        return f"<lucarne.Frame {self.sequence} {self.width}x{self.height} {self.format} in {self.path}{state}>"


def _rectangle(one: Any) -> Rectangle:
    return Rectangle(one.x, one.y, one.width, one.height)
