"""Red, green and blue of Y'CbCr, in numpy: for looking at frames, not for playing them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._formats import Format, eight_bits
from ._library import call, ffi, fill, lib


def rgba(frame: Any, planes: tuple[np.ndarray[Any, Any], ...]) -> np.ndarray[Any, Any]:
    """By the frame's own matrix and range. Each pixel takes the chroma sample that it shares: nothing is interpolated."""
    known = fill("lucarne_ycbcr", lib.lucarne_frame_ycbcr, frame)
    views = [_view(*one) for one in _components(frame, planes)]
    height, width = views[known.component[0]].shape[:2]
    samples = []
    for place in range(3):
        view = views[known.component[place]]
        values = view[..., known.channel[place]].astype(np.float32) / np.iinfo(view.dtype).max
        samples.append(_full_size(values, height, width))
    picture = np.full((height, width, 4), 255, np.uint8)
    for at in range(3):
        by = known.rgb[at]
        light = samples[0] * by[0] + samples[1] * by[1] + samples[2] * by[2] + by[3]
        picture[..., at] = eight_bits(light)
    return picture


def _components(frame: Any, planes: tuple[np.ndarray[Any, Any], ...]) -> list[tuple[np.ndarray[Any, Any], int, int]]:
    """For each component the array that holds it, its width, and its channels. A packed frame's are views of one array."""
    handles = ffi.new("lucarne_frame *[]", lib.LUCARNE_MAX_PLANES)
    count = ffi.new("uint32_t *")
    call(lib.lucarne_frame_components, frame, handles, lib.LUCARNE_MAX_PLANES, count)
    found = []
    for at in range(count[0]):
        handle = ffi.gc(handles[at], lib.lucarne_frame_free)
        layout = fill("lucarne_frame_layout", lib.lucarne_frame_describe, handle)
        channels = Format.of(layout.format).planes[0].items
        found.append((planes[at] if len(planes) == count[0] else planes[0], layout.width, channels))
    return found


def _view(array: np.ndarray[Any, Any], width: int, channels: int) -> np.ndarray[Any, Any]:
    rows = array.reshape(array.shape[0], -1)
    return rows[:, : width * channels].reshape(array.shape[0], width, channels)


def _full_size(values: np.ndarray[Any, Any], height: int, width: int) -> np.ndarray[Any, Any]:
    """Repeats samples; the last of an odd row or column serves one pixel less."""
    down, across = -(-height // values.shape[0]), -(-width // values.shape[1])
    return values.repeat(down, axis=0).repeat(across, axis=1)[:height, :width]
