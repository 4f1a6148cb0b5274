"""Colours, and red, green and blue of Y'CbCr."""

from dataclasses import replace

import numpy as np
import pytest

import lucarne

# Codes of BT.601 in the limited range, as its tables have them: Y', Cb and Cr of white, black, red, green and blue.
CODES = [(235, 128, 128), (16, 128, 128), (81, 90, 240), (145, 54, 34), (41, 240, 110)]
COLOURS = [(255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)]
BT601 = replace(lucarne.Color.default("NV12"), matrix=6)


def fill_nv12(slot, code):
    slot.planes[0][...] = code[0]
    slot.planes[1][...] = code[1:]


def fill_p010(slot, code):
    slot.planes[0][...] = code[0] << 8
    slot.planes[1][...] = [code[1] << 8, code[2] << 8]


def fill_yuyv(slot, code):
    slot.array[...] = [code[0], code[1], code[0], code[2]]


def fill_yuv420(slot, code):
    for plane, number in zip(slot.planes, code):
        plane[...] = number


FILLS = {"NV12": fill_nv12, "NV16": fill_nv12, "P010": fill_p010, "YUYV": fill_yuyv, "YUV420": fill_yuv420, "YUV444": fill_yuv420}


@pytest.mark.parametrize("name", FILLS)
def test_colours_of_every_sort(open_ends, name):
    with open_ends(width=37, height=23, formats=[name], color=BT601) as ends:
        for code, colour in zip(CODES, COLOURS):
            with ends.pass_on(lambda slot: FILLS[name](slot, code)) as frame:
                assert frame.color == BT601
                pixels = frame.rgba()
                assert pixels.shape == (23, 37, 4) and (pixels[..., 3] == 255).all()
                # Codes are rounded to whole ones.
                assert np.abs(pixels[..., :3].astype(int) - colour).max() <= 2, (code, pixels[0, 0])


def test_each_pixel_takes_the_chroma_that_it_shares(open_ends):
    with open_ends(width=6, height=4, formats=["NV12"], color=BT601) as ends:

        def draw(slot):
            slot.planes[0][...] = 81
            slot.planes[1][...] = (128, 128)
            slot.planes[1][1, 2] = (90, 240)

        with ends.pass_on(draw) as frame:
            red = frame.rgba()[..., 0] > 200
            assert red.sum() == 4 and red[2:, 4:].all()


def test_samples_that_are_not_whole_bytes(open_ends):
    with open_ends(formats=["NV15"]) as ends, ends.pass_on(lambda slot: None) as frame:
        with pytest.raises(lucarne.Unsupported, match="NV15"):
            frame.rgba()


def test_a_streams_colours(open_ends):
    with open_ends() as ends:
        with ends.pass_on(lambda slot: None) as frame:
            assert frame.color == lucarne.Color.default("XBGR8888")
        assert [event.color for event in ends.consumer.events() if event.kind == "generation"] == [frame.color]
        ends.producer.reconfigure(64, 48, formats=["NV12"], color=BT601)

        def next_of_nv12():
            slot = ends.producer.try_acquire()
            if slot is not None and slot.format.name != "NV12":
                slot.discard()
                return None
            return slot

        slot = ends.serve_until(next_of_nv12)
        assert slot.color == BT601
        slot.publish()
        with ends.frame() as frame:
            assert frame.color == BT601
        assert [event.color for event in ends.consumer.events() if event.kind == "generation"] == [BT601]
        assert all(event.color is None for event in ends.producer.events())


@pytest.mark.parametrize(
    "change, message", [(dict(matrix=1), "color.matrix"), (dict(primaries=2), "color.primaries is 2"), (dict(alpha="odd"), "color.alpha is 0")]
)
def test_colours_that_are_none(folder, change, message):
    color = replace(lucarne.Color.default("XBGR8888"), **change)
    with pytest.raises(lucarne.InvalidArgument, match=message):
        lucarne.Producer("color", 64, 48, folder=folder, formats=["XBGR8888"], color=color)
