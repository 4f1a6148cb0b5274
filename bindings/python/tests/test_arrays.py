"""Arrays: shapes, strides and types of every format; the memory itself, and no copy of it."""

import numpy as np
import pytest

import lucarne
import pattern
from conftest import descriptors, unchanged
from lucarne._library import fill, lib, make

WIDTH, HEIGHT = 37, 22

# By hand, out of drm_fourcc.h: of frames of 37x22.
SHAPES = {
    "R8": [((22, 37), "u1")],
    "GR88": [((22, 37, 2), "u1")],
    "RGB565": [((22, 37), "u2")],
    "BGR888": [((22, 37, 3), "u1")],
    "XRGB8888": [((22, 37, 4), "u1")],
    "ABGR2101010": [((22, 37), "u4")],
    "ABGR16161616": [((22, 37, 4), "u2")],
    "XBGR16161616F": [((22, 37, 4), "f2")],
    "YUYV": [((22, 19, 4), "u1")],
    "Y210": [((22, 19, 4), "u2")],
    "Y410": [((22, 37), "u4")],
    "NV12": [((22, 37), "u1"), ((11, 19, 2), "u1")],
    "NV16": [((22, 37), "u1"), ((22, 19, 2), "u1")],
    "NV15": [((22, 10, 5), "u1"), ((11, 10, 5), "u1")],
    "P010": [((22, 37), "u2"), ((11, 19, 2), "u2")],
    "YUV420": [((22, 37), "u1"), ((11, 19), "u1"), ((11, 19), "u1")],
}


def all_formats():
    """Every format that the CPU has: all that Lucarne knows."""
    device = make("lucarne_device", lib.lucarne_device_free, lib.lucarne_cpu_device_open, lib.LUCARNE_ALLOCATOR_HOST_MEMORY)
    offer = make("lucarne_offer", lib.lucarne_offer_free, lib.lucarne_device_offer, device, lib.LUCARNE_USAGE_SAMPLE)
    entries = [fill("lucarne_offer_entry", lib.lucarne_offer_entry_at, offer, at) for at in range(lib.lucarne_offer_entries(offer))]
    return sorted({entry.format for entry in entries})


def noise(array, seed):
    """Bytes of every value, in the array's type."""
    bytes = np.random.default_rng(seed).integers(0, 256, array.size * array.itemsize, np.uint8)
    return bytes.view(array.dtype).reshape(array.shape)


def test_every_format_there_and_back(open_ends):
    codes = all_formats()
    assert len(codes) > 80
    pixels = 0
    for code in codes:
        format = lucarne.Format.of(code)
        assert lucarne.Format.of(format.name) == format == lucarne.Format.of(format)
        with open_ends(width=WIDTH, height=HEIGHT, formats=[code]) as ends:
            sent = []

            def draw(slot):
                sent.extend(noise(plane, code + at) for at, plane in enumerate(slot.planes))
                slot.write(*sent)

            with ends.pass_on(draw) as frame:
                assert frame.format.code == code
                assert len(frame.planes) == len(format.planes)
                for got, expected in zip(frame.planes, sent):
                    # By bytes: not every number is equal to itself.
                    assert got.tobytes() == expected.tobytes(), format
                    pixels += got.size
    assert pixels > len(codes) * WIDTH * HEIGHT / 2


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_are_those_of_the_kernels_header(open_ends, name):
    with open_ends(width=WIDTH, height=HEIGHT, formats=[name]) as ends:
        with ends.pass_on(lambda slot: None) as frame:
            assert [(plane.shape, plane.dtype) for plane in frame.planes] == [(shape, np.dtype(kind)) for shape, kind in SHAPES[name]]
            for plane, known in zip(frame.planes, frame.format.planes):
                assert plane.strides[0] >= plane[0].nbytes
                assert plane.strides[1] == known.block_bytes
            if len(frame.planes) > 1:
                with pytest.raises(lucarne.InvalidArgument, match="has [23] planes"):
                    frame.array


def test_strides_are_the_frames_pitch(open_ends):
    with open_ends(width=WIDTH, height=HEIGHT) as ends:
        with ends.pass_on(lambda slot: None) as frame:
            layout = fill("lucarne_frame_layout", lib.lucarne_frame_describe, frame._frame)
            assert frame.array.strides == (layout.planes[0].pitch, 4, 1)
            assert layout.planes[0].pitch > 4 * WIDTH, "a width with padding was meant"


def test_an_array_is_the_frames_memory(ends):
    kept = []
    frame = ends.pass_on(lambda slot: (slot.array.fill(1), kept.append(slot.array[...])))
    address = frame.array.__array_interface__["data"][0]
    with open("/proc/self/maps", encoding="utf-8") as maps:
        lines = [line.split(maxsplit=5) for line in maps]
    spans = [(line, *(int(number, 16) for number in line[0].split("-"))) for line in lines]
    (line,) = [line for line, first, end in spans if first <= address < end]
    assert line[1].endswith("s") and "memfd" in line[-1] or "dmabuf" in line[-1], line
    assert frame.array.max() == 1
    # A view that was made during the turn can still be written to, which breaks the rules of turns; here it shows that there is one memory.
    kept[0][0, 0, 0] = 99
    assert frame.array[0, 0, 0] == 99
    frame.release()


def test_reading_arrays_cannot_be_written(ends):
    frame = ends.pass_on(lambda slot: None)
    with pytest.raises(ValueError, match="read-only"):
        frame.array[0, 0, 0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        frame.array.flags.writeable = True
    frame.release()


def test_arrays_of_a_published_frame_cannot_be_written(ends):
    slot = ends.slot()
    array = slot.array
    array[...] = 5
    assert slot.publish() == 1
    with pytest.raises(ValueError, match="read-only"):
        array[...] = 6
    with ends.frame() as frame:
        assert (frame.array == 5).all()


RED_GREEN_BLUE = {
    # What one pixel of red 255, green 128 (or the nearest), blue 0 is in memory.
    "XRGB8888": ("u1", [0, 128, 255, 0]),
    "ABGR8888": ("u1", [255, 128, 0, 64]),
    "RGBA8888": ("u1", [64, 0, 128, 255]),
    "RGB565": ("u2", 31 << 11 | 32 << 5),
    "XRGB2101010": ("u4", 1023 << 20 | 514 << 10),
    "ABGR16161616": ("u2", [65535, 32896, 0, 16448]),
    "ABGR16161616F": ("f2", [2.0, 0.50196, -1.0, 0.25098]),
}


@pytest.mark.parametrize("name", RED_GREEN_BLUE)
def test_rgba(open_ends, name):
    kind, value = RED_GREEN_BLUE[name]
    with open_ends(width=WIDTH, height=HEIGHT, formats=[name]) as ends:

        def draw(slot):
            assert slot.array.dtype == np.dtype(kind)
            slot.array[...] = value

        with ends.pass_on(draw) as frame:
            pixels = frame.rgba()
            assert pixels.shape == (HEIGHT, WIDTH, 4) and pixels.dtype == np.uint8
            green = 130 if name == "RGB565" else 128
            alpha = 64 if frame.format.has_alpha else 255
            assert (pixels == [255, green, 0, alpha]).all(), pixels[0, 0]


@pytest.mark.parametrize("name", ["XRGB8888", "XBGR8888", "RGBX8888", "BGRA8888", "ABGR8888", "RGB888", "BGR888"])
@pytest.mark.parametrize("depth", [3, 4])
def test_pictures_of_red_green_and_blue(open_ends, name, depth):
    picture = pattern.picture(3, WIDTH, HEIGHT)
    if depth == 4:
        picture = np.dstack([picture, picture[..., 0] ^ 85])
    with open_ends(width=WIDTH, height=HEIGHT, formats=[name]) as ends:
        with ends.pass_on(lambda slot: slot.write_rgb(picture)) as frame:
            pixels = frame.rgba()
            assert pattern.wrong(3, pixels) == 0
            expected = picture[..., 3] if depth == 4 and frame.format.has_alpha else 255
            assert (pixels[..., 3] == expected).all()


def test_any_strides_will_do(ends):
    turned = np.ascontiguousarray(np.random.default_rng(1).integers(0, 256, (64, 48, 8), np.uint8)).transpose(1, 0, 2)[..., ::2]
    assert not turned.flags.c_contiguous and turned.shape == (48, 64, 4)
    with ends.pass_on(lambda slot: slot.write(turned)) as frame:
        assert (frame.array == turned).all()


def test_what_a_frame_says_of_itself(ends):
    before = lucarne._library.lib.lucarne_now()
    with ends.pass_on(lambda slot: None) as frame:
        assert (frame.width, frame.height, str(frame.format), frame.sequence, frame.dropped) == (64, 48, "XBGR8888", 1, 0)
        assert before <= frame.timestamp <= lucarne._library.lib.lucarne_now()
        assert frame.damage is None
        assert "Frame 1 64x48 XBGR8888" in repr(frame)
    slot = ends.slot()
    slot.publish(timestamp=7, damage=[(1, 2, 3, 4), lucarne.Rectangle(5, 6, 7, 8)])
    with ends.frame() as frame:
        assert (frame.sequence, frame.timestamp) == (2, 7)
        assert frame.damage == (lucarne.Rectangle(1, 2, 3, 4), lucarne.Rectangle(5, 6, 7, 8))
    assert "released" in repr(frame)


def test_dma_bufs_for_other_libraries(ends):
    frame = ends.pass_on(lambda slot: slot.array.fill(9))
    if frame.path != "dma-buf":
        with pytest.raises(lucarne.Error, match="dma-buf"):
            frame.dma_bufs()
        frame.release()
        pytest.skip("host memory: there is no allocator for dma-bufs")
    import mmap
    import os

    with unchanged():
        (plane,) = frame.dma_bufs()
        with mmap.mmap(plane.fd, frame.array.strides[0], access=mmap.ACCESS_READ) as memory:
            assert memory[plane.offset : plane.offset + 256] == b"\x09" * 256
        os.close(plane.fd)
    frame.release()
    assert descriptors()
