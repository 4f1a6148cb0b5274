"""Tickets: frames of another process that takes no part."""

import subprocess
import sys

import numpy as np
import pytest

import lucarne
import pattern
from conftest import LONG, finish, unchanged

KEEPER = """
import lucarne, pattern, sys
frame = lucarne.allocate(64, 48, "XBGR8888", allocator=sys.argv[1])
frame.write_rgb(pattern.picture(7))
print(frame.path, frame.emulated, frame.ticket(), flush=True)
lucarne.allow_fetch_by(int(sys.stdin.readline()))
print("allowed", flush=True)
sys.stdin.readline()
print(frame.array[0, 0].tolist(), flush=True)
frame.close()
"""


def keeper(allocator):
    import os

    from conftest import HERE

    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process = subprocess.Popen([sys.executable, "-B", "-c", KEEPER, allocator], env=environment, **pipes)
    path, emulated, ticket = process.stdout.readline().split()
    print(os.getpid(), file=process.stdin, flush=True)
    assert process.stdout.readline() == "allowed\n"
    return process, path, path == "host-memory" or emulated == "True", ticket


@pytest.mark.parametrize("allocator", ["best", "host-memory"])
def test_a_frame_of_another_process(allocator):
    with unchanged():
        process, path, is_memfd, ticket = keeper(allocator)
        with lucarne.fetch(ticket, writable=True) as frame:
            assert (frame.path, frame.width, frame.height, frame.writable) == (path, 64, 48, True)
            assert pattern.wrong(7, frame.rgba()) == 0
            frame.array[0, 0] = (1, 2, 3, 4)
        if is_memfd:
            with lucarne.open_ticket(ticket) as frame:
                assert frame.array[0, 0].tolist() == [1, 2, 3, 4]
                assert pattern.wrong(7, frame.rgba()) == 1
                with pytest.raises(ValueError, match="read-only"):
                    frame.array[0, 0] = 0
        else:
            with pytest.raises(lucarne.InvalidArgument, match="memfd"):
                lucarne.open_ticket(ticket)
        process.stdin.write("\n")
        assert "[1, 2, 3, 4]" in finish(process)
        del frame
        with pytest.raises(lucarne.Error, match=str(process.pid)) as caught:
            lucarne.fetch(ticket)
        del caught, process


def test_what_is_no_ticket():
    with pytest.raises(lucarne.InvalidArgument, match="ticket"):
        lucarne.fetch("nonsense")
    with pytest.raises(lucarne.InvalidArgument, match="process number is 0"):
        lucarne.allow_fetch_by(0)


def test_a_frame_of_ones_own():
    with unchanged():
        with lucarne.allocate(37, 22, "NV12") as frame:
            assert [plane.shape for plane in frame.planes] == [(22, 37), (11, 19, 2)]
            assert all((plane == 0).all() for plane in frame.planes)
            frame.planes[1][...] = 128
            kept = frame.planes[1]
        with pytest.raises(lucarne.Closed, match="the frame is over"):
            frame.ticket()
        assert (kept == 128).all()
        with pytest.raises(ValueError, match="read-only"):
            kept[...] = 1
        del frame, kept
    with pytest.warns(ResourceWarning, match="dropped"):
        lucarne.allocate(4, 4, "R8")


def test_a_streams_frame_by_its_ticket(ends):
    with ends.pass_on(lambda slot: slot.array.fill(9)) as frame:
        with lucarne.fetch(frame.ticket()) as fetched:
            assert np.array_equal(fetched.array, frame.array) and LONG
