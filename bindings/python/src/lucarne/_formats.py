"""Formats: what a plane's array looks like, and pixels as red, green, blue and opacity."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Union

import numpy as np

from ._library import c_text, ffi, fill, lib

# The letters of LUCARNE_COMPONENT_…, from 0.
_LETTERS = "XRGBAYUV"


@dataclass(frozen=True)
class Channel:
    """A run of bits in a block, which is read as one little-endian number."""

    #: One letter: R, G, B, A, Y, U (Cb), V (Cr), or X for padding.
    component: str
    #: Place of the least significant bit.
    shift: int
    #: How many bits.
    bits: int


@dataclass(frozen=True)
class Plane:
    """How a plane's pixels sit in memory."""

    #: Bytes of a block, the smallest group of samples that starts on a byte.
    block_bytes: int
    #: Width of a block, in samples of this plane.
    block_width: int
    #: How many pixels of the frame share one sample: across, and down.
    subsampling: tuple[int, int]
    #: A block's channels, from the least significant bits, which is the order in memory.
    channels: tuple[Channel, ...]
    #: What numpy reads of it.
    dtype: np.dtype[Any]
    #: How many of these a block has.
    items: int

    def shape(self, rows: int, row_bytes: int) -> tuple[int, ...]:
        """The shape of this plane's array."""
        blocks = row_bytes // self.block_bytes
        return (rows, blocks) if self.items == 1 else (rows, blocks, self.items)


@dataclass(frozen=True)
class Format:
    """A pixel format, as DRM names it."""

    #: DRM's code.
    code: int
    #: The kernel's name, such as ``XBGR8888``; four characters where it has none that Lucarne knows.
    name: str
    #: Whether it holds Y'CbCr, and not red, green and blue.
    is_ycbcr: bool
    #: Whether its numbers are floating-point ones, and not unsigned ones that stand for 0 to 1.
    is_float: bool
    #: Whether it holds opacity.
    has_alpha: bool
    #: Its planes.
    planes: tuple[Plane, ...]

    def __str__(self) -> str:
        return self.name

    @staticmethod
    def of(format: Union["Format", str, int]) -> "Format":
        """The format of a name, four characters, or a code. Raises `InvalidArgument` for what is none."""
        if isinstance(format, Format):
            return format
        if isinstance(format, str):
            return _of_code(fill("uint32_t", lib.lucarne_format_from_name, c_text(format, "format")))
        return _of_code(format)


def format_name(code: int) -> str:
    """The kernel's name of DRM's code, or its four characters."""
    place = ffi.new("char[]", 64)
    lib.lucarne_format_name(code, place, 64)
    # As `XB24 XBGR8888`, or one word.
    words: list[str] = ffi.string(place).decode().split(" ")
    return words[-1]


@lru_cache(maxsize=256)
def modifier_name(modifier: int) -> str:
    """What a modifier's bits mean."""
    place = ffi.new("char[]", 256)
    lib.lucarne_modifier_name(modifier, place, 256)
    text: str = ffi.string(place).decode("utf-8", "replace")
    return text


@lru_cache(maxsize=256)
def _of_code(code: int) -> Format:
    info = fill("lucarne_format_info", lib.lucarne_format_describe, code)
    planes = tuple(_plane(code, index, bool(info.is_float)) for index in range(info.planes))
    return Format(code, format_name(code), bool(info.is_ycbcr), bool(info.is_float), bool(info.has_alpha), planes)


def _plane(code: int, index: int, is_float: bool) -> Plane:
    info = fill("lucarne_format_plane", lib.lucarne_format_plane_at, code, index)
    listed = [info.channels[at] for at in range(info.channel_count)]
    channels = tuple(Channel(_LETTERS[one.component], one.shift, one.bits) for one in reversed(listed))
    dtype, items = _items(info.block_bytes, channels, is_float)
    subsampling = (info.horizontal_subsampling, info.vertical_subsampling)
    return Plane(info.block_bytes, info.block_width, subsampling, channels, dtype, items)


def _items(block_bytes: int, channels: tuple[Channel, ...], is_float: bool) -> tuple[np.dtype[Any], int]:
    """The widest numbers that hold no two channels; one number for a block where channels share bytes."""
    told = [one for one in channels if one.component != "X"]
    for width in (8, 16):
        places = [one.shift // width for one in told]
        within = all(one.shift // width == (one.shift + one.bits - 1) // width for one in told)
        whole = width == 16 or all(one.bits == 8 for one in told)
        if block_bytes * 8 % width == 0 and within and whole and len(set(places)) == len(places):
            name = "<f2" if is_float else f"<u{width // 8}"
            return np.dtype(name), block_bytes * 8 // width
    if block_bytes in (2, 4, 8):
        return np.dtype(f"<u{block_bytes}"), 1
    return np.dtype(np.uint8), block_bytes


def rgba(format: Format, plane: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Red, green, blue and opacity of a format of these, in 8 bits each: a copy."""
    height, width = plane.shape[:2]
    picture = np.zeros((height, width, 4), np.uint8)
    picture[..., 3] = 255
    for channel in format.planes[0].channels:
        place = "RGBA".find(channel.component)
        if place >= 0:
            picture[..., place] = _eight_bits(_channel(plane, channel), channel.bits, format.is_float)
    return picture


def _channel(plane: np.ndarray[Any, Any], channel: Channel) -> np.ndarray[Any, Any]:
    width = plane.dtype.itemsize * 8
    numbers = plane if plane.ndim == 2 else plane[..., channel.shift // width]
    shift = channel.shift if plane.ndim == 2 else channel.shift % width
    if plane.dtype.kind == "f" or (shift == 0 and channel.bits == width):
        return numbers
    alone: np.ndarray[Any, Any] = numbers >> shift & ((1 << channel.bits) - 1)
    return alone


def _eight_bits(numbers: np.ndarray[Any, Any], bits: int, is_float: bool) -> np.ndarray[Any, Any]:
    if bits == 8 and not is_float:
        return numbers
    return eight_bits(np.nan_to_num(numbers.astype(np.float32)) if is_float else numbers.astype(np.float32) / ((1 << bits) - 1))


def eight_bits(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Bytes of numbers of 0 to 1."""
    bytes: np.ndarray[Any, Any] = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return bytes

