"""What breaks the protocol, and how the other side must end it: the reasons and the tables of states of docs/protocol.md."""

import os
import socket

import producer
import ring as rings
import wire
from wire import GOODBYE, INCOMPATIBLE, PROTOCOL, REFUSED, TOO_SLOW, VERSION

EXTENT = (64, 16)
PLANES = [(0, 256)] * 2


def last_words(peer):
    """The kind and the reason that a connection ends with."""
    peer.settimeout(30)
    last = None
    while True:
        kind, fields, fds = wire.receive(peer)
        for fd in fds:
            os.close(fd)
        if kind is None:
            return last
        if kind in (REFUSED, GOODBYE):
            last = kind, *wire.take_farewell(fields)


def tell(case, expected, peer):
    found = last_words(peer)
    assert found and found[:2] == expected, f"{case}: {found}, not {expected}"
    print(f"{case}: {found[1]}, {found[2]}", flush=True)


# A consumer's, before its Hello is accepted, after its Configure, and after its Ready.


def says(kind, body=b"", fds=()):
    return lambda peer, *_: wire.send(peer, kind, body, fds)


def sends(data):
    return lambda peer, *_: peer.send(data)


def writes_a_state(peer, number, ring):
    while not ring.words[rings.HEAD]:
        pass
    slot = next(slot for slot in range(16) if ring.state(slot)[1] == rings.PUBLISHED)
    ring.words[64 + 8 * slot] = 15


def says_of_next(kind):
    return lambda peer, number, _: wire.send(peer, kind, wire.generation(number + 1))


def sends_a_fence(of):
    def act(peer, number, _):
        fd = os.eventfd(1, os.EFD_CLOEXEC)
        wire.send(peer, wire.FENCE, wire.fence(*of(number)), [fd])
        os.close(fd)

    return act


def nothing(*_):
    pass


FLAGLESS = wire.hello(entries=[wire.entry(flags=wire.IMPORTABLE)])
UNWANTED = wire.hello(entries=[])

CONNECTED = [
    ("nothing at all", nothing, (REFUSED, TOO_SLOW)),
    ("Wake before Hello", says(wire.WAKE), (REFUSED, PROTOCOL)),
    ("Ready before Hello", says(wire.READY, wire.generation(1)), (REFUSED, PROTOCOL)),
    ("an unknown kind", says(77), (REFUSED, PROTOCOL)),
    ("a length that is wrong", sends(bytes([2, 0, 0, 0, 99, 0, 0, 0]) + bytes(24)), (REFUSED, PROTOCOL)),
    ("host memory without the modifier's flag", says(wire.HELLO, FLAGLESS), (REFUSED, PROTOCOL)),
    ("an offer of nothing", says(wire.HELLO, UNWANTED), (REFUSED, INCOMPATIBLE)),
    ("a word too many in Describe", says(wire.DESCRIBE, wire.MAGIC + bytes([1, 0, 0, 0] * 2) + bytes(8)), (REFUSED, PROTOCOL)),
    ("a Report", says(wire.REPORT, wire.report([], 1, 0, EXTENT, 0, 0, 0)), (REFUSED, PROTOCOL)),
    ("versions of tomorrow", says(wire.HELLO, wire.hello(versions=(3, 4))), (REFUSED, VERSION)),
]
CONFIGURED = [
    ("no answer", nothing, (REFUSED, TOO_SLOW)),
    ("a second Hello", says(wire.HELLO, wire.hello()), (REFUSED, PROTOCOL)),
    ("Ready for a generation to come", says_of_next(wire.READY), (REFUSED, PROTOCOL)),
    ("Drained of a generation to come", says_of_next(wire.DRAINED), (REFUSED, PROTOCOL)),
]
STREAMING = [
    ("a producer's message", says(wire.PAUSE), (GOODBYE, PROTOCOL)),
    ("a state that is none", writes_a_state, (GOODBYE, PROTOCOL)),
    ("a fence of slot 16", sends_a_fence(lambda number: (number, 1, 16)), (GOODBYE, PROTOCOL)),
    ("a fence of frame 0", sends_a_fence(lambda number: (number, 0, 0)), (GOODBYE, PROTOCOL)),
    ("a frame that is kept", nothing, (GOODBYE, TOO_SLOW)),
]


def consume(path):
    """Does each to a producer."""
    for stage, cases in enumerate((CONNECTED, CONFIGURED, STREAMING)):
        for case, act, expected in cases:
            peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            peer.settimeout(30)
            peer.connect(path)
            number, ring = 0, None
            if stage > 0:
                wire.send(peer, wire.HELLO, wire.hello())
                kind, fields, fds = wire.receive(peer)
                assert kind == wire.CONFIGURE, (case, kind)
                _, number, *_ = wire.take_configure(fields)
                ring = rings.Ring(fds[0])
                for fd in fds:
                    os.close(fd)
            if stage > 1:
                wire.send(peer, wire.READY, wire.generation(number))
            act(peer, number, ring)
            tell(case, expected, peer)


# A producer's.


def generation(ring=None, memory=None, number=1, **changes):
    """A Configure of two slots, with one thing wrong."""

    def act(peer):
        good, _ = rings.new_ring(number, 2)
        fds = [good, rings.memory(8192), rings.memory(8192)]
        if ring is not None:
            fds[0] = ring()
        if memory is not None:
            fds[2] = memory()
        arguments = {"number": number, "extent": EXTENT, "planes": PLANES} | changes
        wire.send(peer, wire.CONFIGURE, wire.configure(**arguments), fds)
        for fd in {*fds, good}:
            os.close(fd)

    return act


def publishes(*words):
    """Words of the ring that cannot be there, after the consumer is Ready."""

    def act(peer):
        fd, ring = rings.new_ring(1, 2)
        fds = [fd, rings.memory(8192), rings.memory(8192)]
        wire.send(peer, wire.CONFIGURE, wire.configure(1, EXTENT, PLANES), fds)
        assert wire.receive(peer)[0] == wire.READY
        for index, value in words:
            ring.words[index] = value
        try:
            wire.send(peer, wire.WAKE)
        except BrokenPipeError:
            pass  # It looked before it was woken, and has ended the connection.

    return act


SHRINKS, NO_MORE = rings.F_SEAL_GROW, rings.F_SEAL_SHRINK | rings.F_SEAL_WRITE
PRODUCED = [
    ("a consumer's message", lambda peer: wire.send(peer, wire.READY, wire.generation(1))),
    ("generation 0", generation(number=0)),
    ("a pitch of 0", generation(planes=[(0, 256), (0, 0)])),
    ("an offset of 2^64 - 1", generation(planes=[(0, 256), (2**64 - 1, 256)])),
    ("a plane beyond its object", generation(planes=[(0, 256), (4096, 512)])),
    ("memory that may shrink", generation(memory=lambda: rings.memory(8192, SHRINKS))),
    ("memory without a byte", generation(memory=lambda: rings.memory(0))),
    ("a ring that may shrink", generation(ring=lambda: rings.memory(4096, SHRINKS))),
    ("a ring that cannot be written", generation(ring=lambda: rings.memory(4096, NO_MORE))),
    ("host memory without a modifier", generation(flags=0)),
    ("a use that was not asked for", generation(usage=16)),
    ("a version of tomorrow", generation(version=3)),
    ("LINEAR on rung 1", generation(rung=1)),
    ("a head of 2^60", publishes((rings.HEAD, 1 << 60))),
    ("a fence that was not sent", publishes((66, 2), (64, 1 << 4 | 1), (rings.HEAD, 1))),
    ("a fence attached to host memory", publishes((66, 1), (64, 1 << 4 | 1), (rings.HEAD, 1))),
    ("a number for two slots", publishes((64, 3 << 4 | 1), (72, 3 << 4 | 1), (rings.HEAD, 4))),
]


def produce(path):
    """Does each to a consumer, the next one that connects."""
    listener, _lock = producer.listen(path)
    print("bound", flush=True)
    for case, act in PRODUCED:
        peer, _ = listener.accept()
        peer.settimeout(30)
        assert wire.receive(peer)[0] == wire.HELLO
        act(peer)
        tell(case, (GOODBYE, PROTOCOL), peer)
    os.unlink(path)
