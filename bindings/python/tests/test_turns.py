"""Turns and lifetimes: who may touch a frame when, and what is left behind."""

import gc
import threading
import time
import warnings

import numpy as np
import pytest

import lucarne
from conftest import LONG, Ends, unchanged


def test_a_frame_is_over_once_it_is_released(ends):
    frame = ends.pass_on(lambda slot: slot.array.fill(3))
    assert not frame.released
    kept, copied = frame.array, frame.copy()[0]
    frame.release()
    frame.release()
    assert frame.released
    for over in (lambda: frame.array, lambda: frame.planes, frame.rgba, frame.copy, frame.dma_bufs, frame.__enter__):
        with pytest.raises(lucarne.Closed, match="turn to read is over"):
            over()
    # What was kept shows the memory, whoever draws there now; what was copied stays.
    for value in (4, 5, 6, 7):
        with ends.pass_on(lambda slot: slot.array.fill(value)):
            pass
    assert kept[0, 0, 0] in (4, 5, 6, 7) and (copied == 3).all()


def test_a_slot_is_over_once_it_is_sent(ends):
    slot = ends.slot()
    slot.publish()
    assert slot.ended
    for over in (lambda: slot.array, slot.publish, lambda: slot.write(np.zeros((48, 64, 4), np.uint8)), slot.__enter__):
        with pytest.raises(lucarne.Closed, match="turn to write is over"):
            over()
    slot.discard()
    ends.frame().release()


def test_an_exception_discards_what_was_drawn(ends):
    with pytest.raises(KeyError):
        with ends.slot() as slot:
            slot.array[...] = 1
            raise KeyError
    assert slot.ended and ends.producer.sequence == 0
    with ends.pass_on(lambda slot: slot.array.fill(2)) as frame:
        assert frame.sequence == 1 and (frame.array == 2).all()


def test_dropped_turns_warn_and_come_back(ends):
    for _ in range(10):
        with pytest.warns(ResourceWarning, match="dropped"):
            slot = ends.slot()
            drawn = slot.array
            del slot
            gc.collect()
        # Its array is kept, and the slot can be written again all the same.
        assert not drawn.flags.writeable
    for value in range(10):
        frame = ends.pass_on(lambda slot: slot.array.fill(value))
        kept = frame.array[0]
        with pytest.warns(ResourceWarning, match="dropped"):
            del frame
            gc.collect()
        assert kept[0, 0] == value


def test_arrays_outlive_everything(folder):
    with unchanged():
        ends = Ends(folder)
        held = []
        for value in (1, 2, 3):
            frame = ends.pass_on(lambda slot: slot.array.fill(value))
            held.append(frame)
        rows = [frame.array[-1] for frame in held]
        ends.close()
        del ends
        gc.collect()
        for value, frame in zip((1, 2, 3), held):
            assert (frame.array == value).all()
            frame.release()
        del frame, held
        gc.collect()
        # Nothing but these rows is left of the stream.
        assert all((row == value).all() for value, row in zip((1, 2, 3), rows))
        del rows
        gc.collect()


def test_a_thousand_frames_leave_nothing(folder):
    def resident():
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096

    with unchanged():
        ends = Ends(folder)
        for number in range(1, 1101):
            if number == 101:
                with unchanged():
                    pass
                before = resident()
            with ends.pass_on(lambda slot: slot.array.fill(number & 255)) as frame:
                assert frame.sequence == number
                assert frame.array[0, 0, 0] == number & 255 and frame.array[-1, -1, -1] == number & 255
        gc.collect()
        assert resident() - before < 4 << 20
        assert ends.producer.sequence == 1100
        ends.close()
        del frame, ends


def test_two_threads_share_a_consumer_and_a_producer(folder):
    frames = 200
    with lucarne.Producer("threads", 64, 48, folder=folder, formats=["XBGR8888"], patience=LONG, slots=4) as producer:
        numbers, failures = [], []

        def watch(consumer):
            try:
                while True:
                    with consumer.receive(LONG) as frame:
                        assert (frame.array == frame.sequence & 255).all()
                        numbers.append(frame.sequence)
            except lucarne.Ended:
                pass
            except BaseException as error:  # noqa: BLE001  (told below)
                failures.append(error)

        serving = threading.Event()

        def serve():
            while not serving.is_set():
                producer.dispatch()
                time.sleep(0.002)

        server = threading.Thread(target=serve)
        server.start()
        consumer = lucarne.Consumer("threads", folder=folder, delivery="every", timeout=LONG)
        watchers = [threading.Thread(target=watch, args=(consumer,)) for _ in range(2)]
        for watcher in watchers:
            watcher.start()
        for number in range(1, frames + 1):
            with producer.acquire(LONG) as slot:
                slot.array[...] = number & 255
        serving.set()
        server.join()
        producer.end()
        for watcher in watchers:
            watcher.join(LONG)
        consumer.close()
        assert not failures
        assert sorted(numbers) == list(range(1, frames + 1))


def test_closed_ends_say_so(ends):
    ends.consumer.close()
    ends.consumer.close()
    ends.producer.end()
    ends.producer.end()
    ends.producer.close()
    calls = [ends.consumer.try_receive, ends.consumer.fileno, ends.consumer.events, ends.consumer.reconnect, ends.consumer.__enter__]
    calls += [ends.producer.try_acquire, ends.producer.fileno, ends.producer.events, ends.producer.pause, ends.producer.__enter__]
    for call in calls:
        with pytest.raises(lucarne.Closed):
            call()


def test_what_happens_is_told(ends):
    with ends.pass_on(lambda slot: None):
        pass
    joined, generation = [event for event in ends.producer.events() if event.kind in ("joined", "generation")]
    assert {joined.kind, generation.kind} == {"joined", "generation"}
    (made,) = [event for event in ends.consumer.events() if event.kind == "generation"]
    assert (made.width, made.height, made.format) == (64, 48, "XBGR8888") and made.refused
    assert all(str(reason) for reason in made.refused)
    ends.producer.pause()
    ends.serve_until(lambda: [event for event in ends.consumer.events() if event.kind == "paused"] or None)
    ends.producer.resume()
    ends.serve_until(lambda: [event for event in ends.consumer.events() if event.kind == "resumed"] or None)
    assert ends.consumer.producer_pid and ends.producer.consumers == 1
    assert ends.producer.next_timeout is None or ends.producer.next_timeout >= 0


def test_nothing_is_dropped_without_a_word():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()
