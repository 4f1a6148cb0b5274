"""What tests share: a folder for sockets, both ends in one process, and descriptors that are counted."""

import contextlib
import gc
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import lucarne
import pytest

HERE = Path(__file__).parent
LONG = 30.0


class Ends:
    """A producer and its consumer in this process, served in turn: nothing waits for the other."""

    def __init__(self, folder, width=64, height=48, formats=("XBGR8888",), delivery="every", **options):
        self.producer = lucarne.Producer("ends", width, height, folder=folder, formats=formats, patience=LONG, **options)
        self.consumer = lucarne.Consumer("ends", folder=folder, delivery=delivery, timeout=LONG)

    def serve_until(self, ask):
        """Serves both until the answer is not None."""
        until = time.monotonic() + LONG
        while True:
            answer = ask()
            if answer is not None:
                return answer
            assert time.monotonic() < until, "it never came"
            if self.producer._producer is not None:
                self.producer.dispatch()
            with contextlib.suppress(lucarne.Ended):
                self.consumer.dispatch()

    def slot(self):
        return self.serve_until(self.producer.try_acquire)

    def frame(self):
        return self.serve_until(self.consumer.try_receive)

    def pass_on(self, draw):
        """Draws a frame and takes it."""
        with self.slot() as slot:
            draw(slot)
        return self.frame()

    def close(self):
        self.consumer.close()
        self.producer.end()


@pytest.fixture
def folder():
    # Short: a socket's path has 108 bytes.
    with tempfile.TemporaryDirectory(prefix="lp") as path:
        yield path


@pytest.fixture
def ends(folder):
    made = Ends(folder)
    yield made
    made.close()


@pytest.fixture
def open_ends(folder):
    """Ends of other sorts; at most one pair at a time."""

    @contextlib.contextmanager
    def opened(**options):
        made = Ends(folder, **options)
        try:
            yield made
        finally:
            made.close()

    return opened


def descriptors():
    gc.collect()
    return sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}"))


@contextlib.contextmanager
def unchanged():
    """Fails where more or fewer descriptors are open afterwards."""
    before = len(descriptors())
    yield
    after = descriptors()
    assert len(after) == before, after


def start(script, *arguments, **options):
    """A Python program of these tests in a process of its own."""
    command = [sys.executable, "-B", str(HERE / script), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def finish(process, expected=0):
    """What it said; its end must be the expected one."""
    out, errors = process.communicate(timeout=2 * LONG)
    assert process.returncode == expected, f"{process.args}: {process.returncode}\n{out}\n{errors}"
    return out
