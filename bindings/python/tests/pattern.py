"""The picture of examples/c/pattern.h: every pixel of every frame is known."""

import numpy as np

WIDTH, HEIGHT = 64, 48


def picture(frame: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """Red, green and blue of each pixel."""
    y, x = np.mgrid[0:height, 0:width]
    colours = (3 * x + frame, 5 * y + 7 * frame, np.full_like(x, 11 * frame))
    return (np.stack(colours, axis=-1) & 255).astype(np.uint8)


def wrong(frame: int, rgba: np.ndarray) -> int:
    """How many pixels are not the frame's."""
    height, width = rgba.shape[:2]
    return int(np.count_nonzero((rgba[..., :3] != picture(frame, width, height)).any(axis=-1)))
