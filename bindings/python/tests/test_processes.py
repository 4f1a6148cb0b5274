"""Two processes: Python at both ends, sizes that change, a producer that dies, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import lucarne
import pattern
from conftest import HERE, LONG, finish, start


def last(text):
    return json.loads(text.strip().splitlines()[-1])


def test_python_to_python(folder):
    producer = start("peer.py", "produce", "two", folder, 30)
    consumer = start("peer.py", "consume", "two", folder, 30)
    told = last(finish(consumer))
    assert last(finish(producer)) == {"sent": 30}
    assert told["numbers"] == list(range(1, 31)) and told["wrong"] == 0, told
    assert told["sizes"] == [[64, 48]]


def test_sizes_change_while_it_runs(folder):
    sizes = "64x48,33x7,200x100,64x48"
    producer = start("peer.py", "produce", "sizes", folder, 40, sizes)
    consumer = start("peer.py", "consume", "sizes", folder, 40)
    told = last(finish(consumer))
    assert last(finish(producer)) == {"sent": 40}
    assert told["numbers"] == list(range(1, 41)) and told["wrong"] == 0, told
    assert told["sizes"] == [[33, 7], [64, 48], [200, 100]]


def test_the_last_frame_of_a_killed_producer_stays(folder):
    producer = start("peer.py", "hold", "killed", folder, 2)
    with lucarne.Consumer("killed", folder=folder, delivery="every", timeout=LONG) as consumer:
        with consumer.receive(LONG) as frame:
            assert pattern.wrong(1, frame.rgba()) == 0
        frame = consumer.receive(LONG)
        (found,) = lucarne.streams(folder)
        assert (found.name, found.state, found.width, found.height) == ("killed", "streaming", 64, 48)
        assert (found.pid, found.frames, found.consumers) == (producer.pid, 2, 1) and found.device and found.age > 0
        assert consumer.producer_pid == producer.pid
        producer.kill()
        producer.communicate(timeout=LONG)
        with pytest.raises(lucarne.PeerGone):
            consumer.receive(LONG)
        assert [event.kind for event in consumer.events()][-1] == "lost"
        assert pattern.wrong(2, frame.rgba()) == 0
        with pytest.raises(lucarne.NotFound):
            consumer.reconnect()
        # Another one of the name comes, and this consumer goes on.
        second = start("peer.py", "hold", "killed", folder, 1)
        assert second.stdout.readline() == "bound\n"
        consumer.reconnect()
        with consumer.receive(LONG) as again:
            assert pattern.wrong(1, again.rgba()) == 0
        assert pattern.wrong(2, frame.rgba()) == 0, "a frame that is held belongs to its holder"
        frame.release()
        second.kill()
        second.communicate(timeout=LONG)


def test_a_killed_consumer_does_not_stop_the_producer(folder):
    with lucarne.Producer("goes-on", 64, 48, folder=folder, formats=["XBGR8888"], patience=LONG) as producer:
        stuck = "import lucarne, sys, time\nc = lucarne.Consumer('goes-on', folder=sys.argv[1], timeout=30)\nf = c.receive(30)\nprint('held', flush=True)\ntime.sleep(60)"
        consumer = subprocess.Popen([sys.executable, "-c", stuck, folder], stdout=subprocess.PIPE, text=True)
        with producer.acquire(LONG) as slot:
            slot.array[...] = 1
        assert consumer.stdout.readline() == "held\n"
        consumer.kill()
        consumer.communicate(timeout=LONG)
        other = start("peer.py", "consume", "goes-on", folder, 3)
        until = time.monotonic() + LONG
        while other.poll() is None and time.monotonic() < until:
            try:
                with producer.acquire(0.2) as slot:
                    slot.write_rgb(pattern.picture(producer.sequence + 1))
            except lucarne.Timeout:
                pass
        told = last(finish(other))
        assert len(told["numbers"]) == 3 and told["wrong"] == 0, told


@pytest.mark.parametrize("waits", ["connect", "receive", "acquire"])
def test_ctrl_c_ends_a_wait(folder, waits):
    script = {
        "connect": "lucarne.Consumer('nobody', folder=folder, timeout=60)",
        "receive": "lucarne.Consumer('quiet', folder=folder, timeout=60).receive(60)",
        "acquire": "lucarne.Producer('alone', 64, 48, folder=folder).acquire(60)",
    }[waits]
    quiet = lucarne.Producer("quiet", 64, 48, folder=folder)
    source = f"import lucarne, sys\nfolder = sys.argv[1]\nprint('waits', flush=True)\n{script}"
    process = subprocess.Popen([sys.executable, "-c", source, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "waits\n"
    time.sleep(0.3)
    begun = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=LONG)
    assert time.monotonic() - begun < 5
    assert "KeyboardInterrupt" in errors, errors
    quiet.end()


def test_the_peer_is_beside_this_file():
    assert (HERE / "peer.py").is_file()
