"""A consumer of a stream, written from docs/protocol.md alone: takes every frame out of host memory.

usage: peer.py SOCKET; prints "SEQUENCE FIRST-PIXEL" for each frame, and ends when the stream does.
"""

import mmap
import socket
import struct
import sys
import time

XR24 = 0x34325258
HOST_MEMORY = 3
HELLO, REFUSED, CONFIGURE, READY, FENCE, END, GOODBYE, WAKE = 1, 4, 5, 6, 8, 11, 14, 15


def message(kind, body=b""):
    return struct.pack("<IIII", kind, 16 + len(body), 0, 0) + body


def text(number, words=""):
    data = words.encode()
    return struct.pack("<II", number, len(data)) + data + bytes(-len(data) % 8)


def hello():
    device = struct.pack("<II48x", 16, 0)  # a software device, and nothing more is known
    no, yes = text(0, "this is Python"), text(1)
    entry = struct.pack("<BBHIQIIII", HOST_MEMORY, 1, 1 | 4, XR24, 0, 2, 32768, 32768, 0)
    body = struct.pack("<8sIIIIII", b"LUCARNE\0", 1, 1, 2, 2, 0, 0) + device
    body += no + no + yes  # dma-buf, opaque-fd, host-memory
    body += no + no  # sync_files given, taken
    body += text(0, "Python") + struct.pack("<II", 1, 0) + entry
    return message(HELLO, body)


def skip_text(data, at):
    _, length = struct.unpack_from("<II", data, at)
    return at + 8 + length + -length % 8


class Generation:
    """What one Configure says: a ring, and slots of one plane each."""

    def __init__(self, data, fds):
        _, slots, self.number = struct.unpack_from("<IIQ", data, 16)
        fourcc, rung = struct.unpack_from("<II", data, 40)
        (refused,) = struct.unpack_from("<I", data, 60)
        assert (fourcc, rung) == (XR24, 4), (fourcc, rung)
        at = 152
        for _ in range(2 + refused + 1):  # two fence paths, refused rungs, the producer's name
            at = skip_text(data, at)
        assert len(fds) == 1 + slots, len(fds)
        self.ring = memoryview(mmap.mmap(fds[0], 4096)).cast("Q")
        assert self.ring.tobytes()[:8] == b"LCRING\x01\0"
        assert (self.ring[1], self.ring[2]) == (self.number, slots)
        self.memory = [mmap.mmap(fd, 0) for fd in fds[1:]]
        # Modifier, flags, objects, planes, reserved, allocation; then the first plane.
        self.offsets = [struct.unpack_from("<QQ", data, at + 128 * slot + 32)[1] for slot in range(slots)]
        self.last = 0

    def take(self):
        """The oldest frame that was not taken: (slot, sequence, first pixel)."""
        head = self.ring[24]
        if head == self.last:
            return None
        published = [
            (self.ring[64 + 8 * slot] >> 4, slot)
            for slot in range(len(self.memory))
            if self.ring[64 + 8 * slot] & 15 == 1 and self.last < self.ring[64 + 8 * slot] >> 4 <= head
        ]
        self.last, slot = min(published)
        self.ring[64 + 8 * slot] = self.last << 4 | 2
        assert self.ring[66 + 8 * slot] & 3 == 0, "it offered no fences"
        (pixel,) = struct.unpack_from("<I", self.memory[slot], self.offsets[slot])
        return slot, self.last, pixel

    def release(self, peer, slot):
        self.ring[64 + 8 * slot] = self.last << 4 | 3
        if self.ring[16]:
            self.ring[16] = 0
            peer.send(message(WAKE))


def main():
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    peer.connect(sys.argv[1])
    peer.send(hello())
    peer.setblocking(False)
    generation, over = None, False
    while True:
        data = b""
        try:
            if not over:
                data, fds, _, _ = socket.recv_fds(peer, 65536, 65)
                over = not data  # the other side has hung up
        except BlockingIOError:
            pass
        if data:
            kind, length, descriptors, _ = struct.unpack_from("<IIII", data)
            assert length == len(data) and descriptors == len(fds), data[:16]
            if kind == CONFIGURE:
                generation = Generation(data, fds)
                peer.send(message(READY, struct.pack("<Q", generation.number)))
            over = kind in (REFUSED, END, GOODBYE)
        frame = generation.take() if generation else None
        if frame:
            slot, sequence, pixel = frame
            print(sequence, pixel, flush=True)
            generation.release(peer, slot)
        elif over:
            return
        else:
            # It never says that it sleeps, and so is never woken: the full fence before that is not Python's to make.
            time.sleep(0.0005)


main()
