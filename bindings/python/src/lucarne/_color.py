"""What a frame's numbers mean."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ._formats import Format
from ._library import ffi, fill, lib

_ALPHAS = {
    "opaque": lib.LUCARNE_ALPHA_OPAQUE,
    "straight": lib.LUCARNE_ALPHA_STRAIGHT,
    "premultiplied": lib.LUCARNE_ALPHA_PREMULTIPLIED,
    "premultiplied-optical": lib.LUCARNE_ALPHA_PREMULTIPLIED_OPTICAL,
}
_ALPHA_NAMES = {code: name for name, code in _ALPHAS.items()}


@dataclass(frozen=True)
class Color:
    """How a frame's numbers stand for colours, in the numbers of Rec. ITU-T H.273; docs/color.md has the table.

    ``dataclasses.replace(Color.default("NV12"), matrix=6)`` is video of BT.601.
    """

    #: Which red, green, blue and white: 1 for BT.709.
    primaries: int
    #: From light to numbers: 13 for sRGB.
    transfer: int
    #: From red, green and blue to Y'CbCr: 0 for formats of red, green and blue.
    matrix: int
    #: Which codes are black and white: 1 for all codes.
    range: int
    #: Where chroma samples lie: 0 for left.
    siting: int
    #: Whether colours were multiplied by opacity: ``"opaque"``, ``"straight"``, ``"premultiplied"``, ``"premultiplied-optical"``.
    alpha: str
    #: How the picture was turned before it was stored, as in Wayland: 0 for upright.
    orientation: int

    @staticmethod
    def default(format: Format | str | int) -> "Color":
        """What the numbers of a format mean where nobody says otherwise."""
        return color_of(fill("lucarne_color", lib.lucarne_format_default_color, Format.of(format).code))


def color_of(codes: Any) -> Color:
    """The library's numbers in words."""
    alpha = _ALPHA_NAMES.get(codes.alpha, "opaque")
    return Color(codes.primaries, codes.transfer, codes.matrix, codes.range, codes.siting, alpha, codes.orientation)


def codes_of(color: Color) -> Any:
    """The library's numbers. A word that is none becomes 0, which the library refuses by name."""
    place = ffi.new("lucarne_color *")
    for name, value in asdict(color).items():
        setattr(place, name, _ALPHAS.get(value, 0) if name == "alpha" else value)
    return place
