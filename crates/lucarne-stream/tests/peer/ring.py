"""The ring, from both ends. Written from docs/protocol.md alone.

Python has no exchange and no fence of its own. Neither is missed here: this end leaves *sleeps* words as they are, which costs
a Wake too many at times, and never sleeps for long without looking again. Its stores come in order on x86-64 alone.
"""

import ctypes
import fcntl
import mmap
import os
import platform
import threading

from wire import check

MAGIC = int.from_bytes(b"LCRING\x01\0", "little")
CONSUMER_SLEEPS, LATENCY, PRODUCER_SLEEPS, HEAD, MAIL = 8, 9, 16, 24, 25
FREE, PUBLISHED, TAKEN, RELEASED, RELEASED_WITH_FENCE = range(5)
FENCE_SIGNALED, FENCE_ATTACHED, FENCE_SENT = range(3)
AT_SOCKET, AT_WORD = 1, 2
F_ADD_SEALS, F_GET_SEALS = 1033, 1034
F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE = 1, 2, 4, 8, 16
MFD_CLOEXEC, MFD_ALLOW_SEALING = 1, 2
FUTEX = {"x86_64": 202, "aarch64": 98}.get(platform.machine())
FUTEX_WAKE = 1
LOCK = threading.Lock()


def memory(size, seals=F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL):
    fd = os.memfd_create("python", MFD_CLOEXEC | MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, F_ADD_SEALS, seals)
    return fd


def is_sealed(fd):
    return fcntl.fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK != 0


def full_fence():
    """An atomic exchange of the processor's, which a lock begins and ends with."""
    with LOCK:
        pass


class Ring:
    def __init__(self, fd):
        check(is_sealed(fd) and os.lseek(fd, 0, os.SEEK_END) == 4096, "the ring's memory")
        self.map = mmap.mmap(fd, 4096)
        self.words = memoryview(self.map).cast("Q")

    def state(self, slot):
        """(sequence, phase)."""
        state = self.words[64 + 8 * slot]
        return state >> 4, state & 15

    def set_state(self, slot, sequence, phase):
        self.words[64 + 8 * slot] = sequence << 4 | phase

    def wake_consumer(self, send_wake):
        """After news: wakes whoever sleeps."""
        full_fence()
        asleep = self.words[CONSUMER_SLEEPS]
        if asleep == AT_WORD and FUTEX:
            word = ctypes.c_uint32.from_buffer(self.map, 8 * CONSUMER_SLEEPS)
            ctypes.CDLL(None).syscall(FUTEX, ctypes.byref(word), FUTEX_WAKE, 1, None, None, 0)
        elif asleep:
            send_wake()

    # The consumer's end.

    def check_header(self, generation, slots):
        check(list(self.words[:3]) == [MAGIC, generation, slots], "the ring's header")

    def take(self, last, slots):
        """The oldest frame after `last`, as (sequence, slot)."""
        head = self.words[HEAD]
        check(last <= head < 1 << 60, "head")
        states = [(self.state(slot), slot) for slot in range(slots)]
        check(all(phase <= RELEASED_WITH_FENCE for (_, phase), _ in states), "state")
        published = [(sequence, slot) for (sequence, phase), slot in states if phase == PUBLISHED]
        frames = [frame for frame in published if last < frame[0] <= head]
        if not frames:
            return None
        sequence, slot = min(frames)
        # A producer takes nothing back from a consumer of Every: no exchange is needed.
        self.set_state(slot, sequence, TAKEN)
        return sequence, slot

    def release(self, slot, sequence, phase, send_wake):
        self.set_state(slot, sequence, phase)
        full_fence()
        if self.words[PRODUCER_SLEEPS]:
            send_wake()

    # The producer's end.

    def publish(self, slot, sequence, timestamp, flags):
        self.words[65 + 8 * slot] = timestamp
        self.words[66 + 8 * slot] = flags
        self.set_state(slot, sequence, PUBLISHED)
        self.words[HEAD] = sequence


def new_ring(generation, slots):
    """The descriptor of a ring, and the ring."""
    fd = memory(4096)
    ring = Ring(fd)
    ring.words[1], ring.words[2] = generation, slots
    ring.words[0] = MAGIC
    return fd, ring
