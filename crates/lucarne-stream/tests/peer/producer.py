"""A producer of frames in host memory, for consumers of both kinds."""

import fcntl
import mmap
import os
import select
import socket
import struct
import time

import pixels
import ring as rings
import wire
from ring import FREE, PUBLISHED, RELEASED, RELEASED_WITH_FENCE, TAKEN
from wire import check

SLOTS = wire.SLOTS


def listen(path):
    """Takes a name: (socket, lock). The lock is held as long as its descriptor is open."""
    folder, name = os.path.split(path)
    lock = os.open(os.path.join(folder, f".{name}.lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    new = os.path.join(folder, f".{name}.new")
    listener.bind(new)
    listener.listen(16)
    os.rename(new, path)
    return listener, lock


def credentials(peer):
    """(process, user, group)."""
    return struct.unpack("iII", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))


def is_own_user(peer):
    return credentials(peer)[1] == os.geteuid()


class Generation:
    """Images of one size, which all consumers share."""

    def __init__(self, number, extent):
        self.number, self.extent = number, extent
        pitch = -(-4 * extent[0] // 256) * 256
        rows = -(-extent[1] // 16) * 16
        size = -(-(pitch * rows + 64) // 4096) * 4096
        self.planes = [(0, pitch)] * SLOTS
        self.fds = [rings.memory(size) for _ in range(SLOTS)]
        self.memory = [mmap.mmap(fd, 0) for fd in self.fds]


class Peer:
    """One consumer that has greeted."""

    def __init__(self, number, connection, version, delivery, usage):
        self.number, self.version = number, version
        self.connection, self.delivery, self.usage = connection, delivery, usage
        self.begun, self.dropped = None, 0
        self.rings, self.out, self.fences, self.ready = {}, {}, {}, 0
        self.gone = False

    def send(self, kind, body=b"", fds=()):
        wire.send(self.connection, kind, body, fds)
        for ring in self.rings.values() if kind != wire.WAKE else ():
            ring.words[rings.MAIL] += 1
            if kind != wire.FENCE:
                ring.wake_consumer(lambda: None)  # at its socket it sees the message itself

    def configure(self, generation):
        fd, ring = rings.new_ring(generation.number, SLOTS)
        body = wire.configure(generation.number, generation.extent, generation.planes, self.usage, version=self.version)
        self.send(wire.CONFIGURE, body, [fd, *generation.fds])
        self.rings[generation.number] = ring
        os.close(fd)

    def numbers(self, sequence):
        """What a Report says of it."""
        process, _, _ = credentials(self.connection)
        ring = list(self.rings.values())[-1]
        frames = 0 if self.begun is None else sequence - self.begun
        latency = ring.words[rings.LATENCY] if self.version > 1 else 0
        return self.number, frames, self.dropped, latency, process, self.delivery, len(self.out), self.ready > 0

    def move_on(self, generation):
        for number in [number for number in self.rings if number < generation.number]:
            del self.rings[number]
        self.out = {}
        self.send(wire.RETIRE, wire.generation(generation.number - 1))

    def publish(self, generation, slot, sequence, fence):
        ring = self.rings[generation.number]
        if fence is not None:
            self.send(wire.FENCE, wire.fence(generation.number, sequence, slot), [fence])
        flags = rings.FENCE_SIGNALED if fence is None else rings.FENCE_SENT
        ring.publish(slot, sequence, time.monotonic_ns(), flags)
        self.out[slot] = sequence
        ring.wake_consumer(lambda: self.send(wire.WAKE))

    def collect(self, generation):
        """Takes back what is released, and what a consumer of Latest has passed over."""
        ring = self.rings[generation.number]
        states = {slot: ring.state(slot) for slot in self.out}
        newest = max((sequence for sequence, phase in states.values() if phase != PUBLISHED), default=0)
        for slot, (sequence, phase) in states.items():
            check(sequence == self.out[slot] and PUBLISHED <= phase <= RELEASED_WITH_FENCE, "state")
            if phase == PUBLISHED and sequence < newest and self.delivery == wire.LATEST:
                # It has taken a newer one, and so never takes this: nothing has to be exchanged.
                ring.set_state(slot, sequence, FREE)
                self.dropped += 1
            elif phase == RELEASED_WITH_FENCE:
                self.read_socket()
                fence = self.fences.pop((generation.number, sequence))
                assert select.select([fence], [], [], 30)[0], "the release fence does not signal"
                os.close(fence)
            elif phase in (PUBLISHED, TAKEN):
                continue
            del self.out[slot]

    def read_socket(self):
        while not self.gone:
            kind, fields, fds = wire.receive(self.connection)
            if fields is None:
                return
            if kind == wire.READY:
                self.ready = wire.take_generation(fields)
            elif kind == wire.FENCE:
                number, sequence, _ = wire.take_fence(fields)
                self.fences[number, sequence] = fds[0]
            elif kind == wire.GOODBYE or kind is None:
                self.gone = True
            else:
                check(kind in (wire.DRAINED, wire.WAKE), kind)


def can_use(usage, entries):
    wanted = (wire.HOST_MEMORY, wire.XR24, wire.LINEAR)
    flags = wire.COUNTS | wire.IMPORTABLE
    return any(
        (path, fourcc, modifier) == wanted and has & flags == flags and uses & usage == usage
        for path, _, has, fourcc, modifier, uses, *_ in entries
    )


class Producer:
    def __init__(self, path, extent):
        self.listener, self.lock = listen(path)
        self.extent, self.sequence, self.since = extent, 0, time.monotonic_ns()
        self.peers, self.generation, self.number = [], None, 0
        self.make(extent)

    def make(self, extent):
        number = self.generation.number + 1 if self.generation else 1
        self.generation, old = Generation(number, extent), self.generation
        for peer in self.peers:
            peer.configure(self.generation)
        self.wait(lambda: all(peer.ready == number for peer in self.peers))
        for peer in self.peers if old else ():
            peer.move_on(self.generation)

    def wait(self, until):
        deadline = time.monotonic() + 30
        while not until():
            assert time.monotonic() < deadline, "nothing happens"
            sockets = [peer.connection for peer in self.peers]
            for peer in self.peers:
                for ring in peer.rings.values():
                    ring.words[rings.PRODUCER_SLEEPS] = 1
            rings.full_fence()
            # Looks again soon, as this end's fence may be none.
            select.select([self.listener, *sockets], [], [], 0.01)
            for peer in self.peers:
                for ring in peer.rings.values():
                    ring.words[rings.PRODUCER_SLEEPS] = 0
            self.serve()

    def serve(self):
        while select.select([self.listener], [], [], 0)[0]:
            self.let_in(self.listener.accept()[0])
        for peer in self.peers:
            peer.read_socket()
        self.peers = [peer for peer in self.peers if not peer.gone]

    def let_in(self, connection):
        if not is_own_user(connection):
            return wire.send(connection, wire.REFUSED, wire.farewell(4, "another user"))
        connection.settimeout(30)
        kind, fields, _ = wire.receive(connection)
        if kind == wire.DESCRIBE:
            _, highest = wire.take_versions(fields)
            parts = (2, len(self.peers), self.extent, self.generation.number, self.sequence, self.since)
            if highest < 2:
                return wire.send(connection, wire.DESCRIPTION, wire.description(*parts))
            consumers = [peer.numbers(self.sequence) for peer in self.peers]
            return wire.send(connection, wire.REPORT, wire.report(consumers, *parts))
        if kind != wire.HELLO:
            return wire.send(connection, wire.REFUSED, wire.farewell(wire.PROTOCOL, "no Hello"))
        (_, highest), delivery, usage, entries = wire.take_hello(fields)
        if not can_use(usage, entries):
            text = "Python has XRGB8888 in host memory"
            return wire.send(connection, wire.REFUSED, wire.farewell(wire.INCOMPATIBLE, text))
        connection.setblocking(False)
        self.number += 1
        peer = Peer(self.number, connection, min(highest, wire.VERSIONS[1]), delivery, usage)
        peer.configure(self.generation)
        self.peers.append(peer)

    def free_slot(self):
        for peer in self.peers:
            if peer.ready == self.generation.number:
                peer.collect(self.generation)
        out = {slot for peer in self.peers for slot in peer.out}
        return next((slot for slot in range(SLOTS) if slot not in out), None)

    def send_frame(self):
        self.wait(lambda: self.free_slot() is not None)
        slot = self.free_slot()
        self.sequence += 1
        # Every third frame is drawn after it was published: its fence says when.
        fence = os.eventfd(0, os.EFD_CLOEXEC) if self.sequence % 3 == 0 else None
        draw = lambda: pixels.draw(
            self.generation.memory[slot], self.generation.planes[slot], self.generation.extent, self.sequence
        )
        if fence is None:
            draw()
        for peer in self.peers:
            if peer.ready and peer.begun is None:
                peer.begun = self.sequence - 1
            if peer.ready == self.generation.number:
                peer.publish(self.generation, slot, self.sequence, fence)
        if fence is not None:
            draw()
            os.eventfd_write(fence, 1)
            os.close(fence)

    def end(self):
        for peer in self.peers:
            peer.send(wire.END)
        # Their sockets stay until they have taken what was published.
        self.wait(lambda: not self.peers)


def run(path, consumers, frames):
    producer = Producer(path, (64, 16))
    print("bound", flush=True)
    producer.wait(lambda: sum(peer.ready > 0 for peer in producer.peers) == consumers)
    for _ in range(frames):
        producer.send_frame()
    producer.extent = (40, 24)
    producer.make(producer.extent)
    for _ in range(frames):
        producer.send_frame()
    producer.end()
    os.unlink(path)
