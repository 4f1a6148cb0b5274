"""What both languages draw: the frame's number, the row and the column in each pixel."""

import array


def row(number, width, y):
    pixels = array.array("I", (number << 16 | y << 8 | x for x in range(width)))
    return pixels.tobytes()


def draw(memory, plane, extent, number):
    offset, pitch = plane
    for y in range(extent[1]):
        at = offset + y * pitch
        memory[at : at + 4 * extent[0]] = row(number, extent[0], y)


def read(memory, plane, extent):
    """The number of a frame; every pixel must be right."""
    offset, pitch = plane
    number = int.from_bytes(memory[offset : offset + 4], "little") >> 16
    for y in range(extent[1]):
        at = offset + y * pitch
        assert memory[at : at + 4 * extent[0]] == row(number, extent[0], y), (number, y)
    return number
