"""Messages: values to bytes and back. Written from docs/protocol.md alone; whatever that page does not allow is a Breach."""

import socket
import struct

HELLO, DESCRIBE, DESCRIPTION, REFUSED, CONFIGURE, READY, IMPORT_FAILED, FENCE = range(1, 9)
PAUSE, RESUME, END, RETIRE, DRAINED, GOODBYE, WAKE = range(9, 16)
REPORT = 17
VERSIONS = (1, 2)
MAGIC = b"LUCARNE\0"
LATEST, EVERY = 1, 2
RENDER, SAMPLE = 1, 2
HOST_MEMORY = 3
RUNG_HOST_MEMORY = 4
XR24 = 0x34325258
PROTOCOL, INCOMPATIBLE, VERSION, TOO_SLOW = 6, 5, 2, 7
# An entry of host memory is LINEAR, with the flag that says so, and importable.
COUNTS, IMPORTABLE = 1, 4
SLOTS = 4
LINEAR = 0


class Breach(Exception):
    """The other side has broken the protocol."""


def check(holds, what):
    if not holds:
        raise Breach(what)


# The socket.


def send(peer, kind, body=b"", fds=()):
    data = struct.pack("<IIII", kind, 16 + len(body), len(fds), 0) + body
    socket.send_fds(peer, [data], fds)


def receive(peer):
    """The next message as (kind, fields, descriptors); fields are None where nothing came, and the kind is None at the end."""
    try:
        data, fds, flags, _ = socket.recv_fds(peer, 65536, 65)
    except BlockingIOError:
        return None, None, []
    except ConnectionResetError:
        return None, Fields(b""), []
    if not data:
        return None, Fields(b""), []
    check(not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC), "cut off")
    fields = Fields(data)
    kind, length, descriptors, reserved = fields.take("IIII")
    check((length, descriptors, reserved) == (len(data), len(fds), 0), "header")
    return kind, fields, fds


class Fields:
    """What is left of a message."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        form = "<" + form
        check(self.at + struct.calcsize(form) <= len(self.data), "too short")
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values

    def text(self, most=1024):
        number, length = self.take("II")
        check(length <= most, "a text too long")
        data = self.take(f"{length}s")[0]
        (padding,) = self.take(f"{-length % 8}s")
        check(not any(padding), "padding")
        return number, data.decode()

    def end(self):
        check(self.at == len(self.data), "too long")


# Parts of messages.


def text(number, words=""):
    data = words.encode()
    return struct.pack("<II", number, len(data)) + data + bytes(-len(data) % 8)


def device():
    return struct.pack("<II48x", 16, 0)  # a software device, and nothing more is known


def take_device(fields):
    flags, reserved, *_ = fields.take("II16s16sIIII")
    check(flags < 32 and reserved == 0, "device")


# Messages.


def hello(delivery=EVERY, entries=None, versions=VERSIONS):
    no, yes = text(0, "this is Python"), text(1)
    body = struct.pack("<8sIIIIII", MAGIC, *versions, delivery, SAMPLE, 0, 0) + device()
    body += no + no + yes  # dma-buf, opaque-fd, host-memory
    body += yes + yes  # sync_files given, taken; here they are eventfds
    entries = [entry()] if entries is None else entries
    return body + text(0, "Python") + struct.pack("<II", len(entries), 0) + b"".join(entries)


def entry(flags=COUNTS | IMPORTABLE, modifier=LINEAR):
    return struct.pack("<BBHIQIIII", HOST_MEMORY, 1, flags, XR24, modifier, SAMPLE, 32768, 32768, 0)


def take_hello(fields):
    """(delivery, usage, entries); an entry is (path, planes, flags, fourcc, modifier, usage, width, height, reserved)."""
    magic, lowest, highest, delivery, usage, options, reserved = fields.take("8sIIIIII")
    check(magic == MAGIC and 1 <= lowest <= highest and (options, reserved) == (0, 0), "Hello")
    check(delivery in (LATEST, EVERY) and usage < 32, "delivery or usage")
    take_device(fields)
    for _ in range(5):
        check(fields.text()[0] in (0, 1), "yes or no")
    fields.text(128)
    count, reserved = fields.take("II")
    check(count <= 1536 and reserved == 0, "entries")
    entries = [fields.take("BBHIQIIII") for _ in range(count)]
    fields.end()
    return (lowest, highest), delivery, usage, entries


def take_versions(fields):
    magic, lowest, highest = fields.take("8sII")
    check(magic == MAGIC and 1 <= lowest <= highest, "Describe")
    fields.end()
    return lowest, highest


def take_report(fields):
    """The consumers: each as (number, frames, dropped, latency, process, delivery, held, served, name)."""
    fields.take("IIIIIIIIQQQ")
    fields.text(128)
    modifier, flags, rung, slots, count = fields.take("QIIII")
    check(flags < 2 and rung < 5 and slots <= 16 and count <= 64 and (flags or not modifier), "Report")
    consumers = [fields.take("QQQQIIII") + (fields.text(128)[1],) for _ in range(count)]
    fields.end()
    return consumers


def report(consumers, *parts):
    rung = RUNG_HOST_MEMORY if parts[3] else 0
    body = description(*parts) + struct.pack("<QIIII", LINEAR, COUNTS, rung, SLOTS, len(consumers))
    return body + b"".join(struct.pack("<QQQQIIII", *numbers) + text(0, "Python") for numbers in consumers)


def description(state, consumers, extent, generation, frames, since):
    fourcc, path = (XR24, HOST_MEMORY) if generation else (0, 0)
    body = struct.pack("<IIIIIIII", *VERSIONS, state, consumers, *extent, fourcc, path)
    return body + struct.pack("<QQQ", generation, frames, since) + text(0, "Python")


def farewell(reason, words=""):
    return struct.pack("<II", *VERSIONS) + text(reason, words)


def take_farewell(fields):
    fields.take("II")
    reason, words = fields.text()
    fields.end()
    return reason, words


def generation(number):
    return struct.pack("<Q", number)


def take_generation(fields):
    (number,) = fields.take("Q")
    fields.end()
    return number


def import_failed(number, words):
    strike = struct.pack("<QIIQII", number, HOST_MEMORY, 3, LINEAR, XR24, 0)
    return strike + text(0, words)


def fence(number, sequence, slot):
    return struct.pack("<QQII", number, sequence, slot, 0)


def take_fence(fields):
    number, sequence, slot, reserved = fields.take("QQII")
    check(1 <= sequence < 1 << 60 and reserved == 0, "Fence")
    fields.end()
    return number, sequence, slot


def configure(number, extent, planes, usage=SAMPLE, rung=RUNG_HOST_MEMORY, version=1, flags=COUNTS, modifier=LINEAR):
    """A generation of host memory; each slot is one object of one plane: (offset, pitch)."""
    body = struct.pack("<IIQIIIIIIII", version, len(planes), number, *extent, XR24, rung, 3, RENDER, usage, 0)
    # BT.709's primaries, sRGB's transfer, no matrix, full range, no siting, opaque, upright.
    body += bytes([1, 13, 0, 1, 0, 1, 0]) + bytes(25) + device()
    body += text(1) + text(1) + text(0, "Python")
    for offset, pitch in planes:
        slot = struct.pack("<QIIIIQ", modifier, flags, 1, 1, 0, 0)
        body += slot + struct.pack("<QQQ", 0, offset, pitch) + bytes(72)
    return body


def take_configure(fields):
    """(version, generation, (width, height), planes), where each slot is one object of one plane: (offset, pitch)."""
    version, slots, number, width, height, fourcc, rung = fields.take("IIQIIII")
    check(1 <= slots <= 16 and 1 <= width <= 32768 and 1 <= height <= 32768, "slots or extent")
    devices, _, _, refused = fields.take("IIII")
    check((fourcc, rung) == (XR24, RUNG_HOST_MEMORY), "not what was offered")
    check(devices in (1, 2, 3) and refused <= 3, "devices or refused")
    fields.take("32s")  # the colour, which every RGB pixel here has
    take_device(fields)
    for _ in range(2 + refused):  # how fences travel, and the better rungs that were refused
        fields.text()
    fields.text(128)
    planes = []
    for _ in range(slots):
        modifier, flags, objects, count, reserved, allocation = fields.take("QIIIIQ")
        check((modifier, flags, objects, count) == (LINEAR, COUNTS, 1, 1), "a slot of host memory")
        check((reserved, allocation) == (0, 0), "slot")
        index, offset, pitch = fields.take("QQQ")
        check(index == 0 and not any(fields.take("9Q")), "plane")
        check(pitch >= 4 * width, "pitch")
        planes.append((offset, pitch))
    fields.end()
    return version, number, (width, height), planes
