"""A consumer of every frame, in host memory."""

import mmap
import os
import select
import socket
import time

import pixels
import ring as rings
import wire
from ring import RELEASED, RELEASED_WITH_FENCE
from wire import check


class Generation:
    def __init__(self, fields, fds):
        self.version, self.number, self.extent, self.planes = wire.take_configure(fields)
        check(self.version in (1, 2) and len(fds) == 1 + len(self.planes), "Configure")
        self.ring = rings.Ring(fds[0])
        self.ring.check_header(self.number, len(self.planes))
        self.memory = []
        for fd, (offset, pitch) in zip(fds[1:], self.planes):
            end = offset + pitch * (self.extent[1] - 1) + 4 * self.extent[0]
            check(rings.is_sealed(fd) and end <= os.lseek(fd, 0, os.SEEK_END), "memory")
            self.memory.append(mmap.mmap(fd, 0))
        for fd in fds:
            os.close(fd)
        self.last, self.mail, self.retired = 0, 0, False

    def take(self):
        return self.ring.take(self.last, len(self.planes))


class Consumer:
    def __init__(self, path):
        self.peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.peer.connect(path)
        wire.send(self.peer, wire.HELLO, wire.hello())
        self.peer.setblocking(False)
        self.generations, self.newest, self.fences, self.over = [], 0, {}, False

    def tell(self, kind, body=b"", fds=()):
        """False where nobody hears it: a producer may be gone that has ended its stream."""
        try:
            wire.send(self.peer, kind, body, fds)
        except BrokenPipeError:
            return False
        return True

    def wake_producer(self):
        try:
            self.tell(wire.WAKE)
        except BlockingIOError:
            pass  # it has something to read, and so is awake

    def read_socket(self):
        while not self.over:
            kind, fields, fds = wire.receive(self.peer)
            if fields is None:
                return
            for generation in self.generations if kind != wire.WAKE else ():
                generation.mail += 1
            self.handle(kind, fields, fds)

    def handle(self, kind, fields, fds):
        if kind == wire.CONFIGURE:
            generation = Generation(fields, fds)
            check(generation.number > self.newest, "generation")
            self.newest = generation.number
            self.generations.append(generation)
            wire.send(self.peer, wire.READY, wire.generation(generation.number))
        elif kind == wire.RETIRE:
            retired = wire.take_generation(fields)
            for generation in self.generations:
                generation.retired |= generation.number <= retired
        elif kind == wire.FENCE:
            number, sequence, _ = wire.take_fence(fields)
            self.fences[number, sequence] = fds[0]
        elif kind in (wire.REFUSED, wire.GOODBYE):
            raise wire.Breach(f"the producer says {wire.take_farewell(fields)}")
        elif kind in (wire.END, None):
            self.over = True
        else:
            check(kind in (wire.PAUSE, wire.RESUME, wire.WAKE), kind)
            fields.end()

    def look(self):
        """Reads one frame, the oldest; False where there is none."""
        for generation in self.generations:
            if taken := generation.take():
                self.read_frame(generation, *taken)
                return True
            if generation.retired:
                self.generations.remove(generation)
                self.tell(wire.DRAINED, wire.generation(generation.number))
                return True
        return False

    def read_frame(self, generation, sequence, slot):
        generation.last = sequence
        if generation.version > 1:
            made = generation.ring.words[65 + 8 * slot]
            generation.ring.words[rings.LATENCY] = max(0, time.monotonic_ns() - made)
        route = generation.ring.words[66 + 8 * slot] & 3
        check(route != rings.FENCE_ATTACHED, "host memory has no fences attached")
        if route == rings.FENCE_SENT:
            self.read_socket()
            fence = self.fences.pop((generation.number, sequence))
            assert select.select([fence], [], [], 30)[0], "the acquire fence does not signal"
            os.close(fence)
        number = pixels.read(generation.memory[slot], generation.planes[slot], generation.extent)
        width, height = generation.extent
        print(sequence, number, f"{width}x{height}", flush=True)
        if sequence % 5:
            generation.ring.release(slot, sequence, RELEASED, self.wake_producer)
            return
        # What this end still has to do with the frame is done when the eventfd is readable.
        fence = os.eventfd(0, os.EFD_CLOEXEC)
        sent = self.tell(wire.FENCE, wire.fence(generation.number, sequence, slot), [fence])
        phase = RELEASED_WITH_FENCE if sent else RELEASED
        generation.ring.release(slot, sequence, phase, self.wake_producer)
        os.eventfd_write(fence, 1)
        os.close(fence)

    def sleep(self):
        """Until there is news; for a moment at most, as this end's fence may be none."""
        for generation in self.generations:
            generation.ring.words[rings.CONSUMER_SLEEPS] = rings.AT_SOCKET
        rings.full_fence()
        if not any(generation.ring.words[rings.HEAD] > generation.last for generation in self.generations):
            select.select([self.peer], [], [], 0.1)
        for generation in self.generations:
            generation.ring.words[rings.CONSUMER_SLEEPS] = 0

    def run(self):
        while True:
            mail = any(one.ring.words[rings.MAIL] != one.mail for one in self.generations)
            if mail or not self.generations:
                self.read_socket()
            if self.look():
                continue
            if self.over:
                return
            self.sleep()
            self.read_socket()


def run(path):
    Consumer(path).run()
