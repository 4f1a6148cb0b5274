"""One end of a stream in a process of its own: peer.py produce|consume|hold NAME FOLDER FRAMES [WIDTHxHEIGHT,...]

With several sizes, the frames are shared among them. Says what it did in one line of JSON.
"""

import json
import sys
import time

import lucarne
import pattern

TIMEOUT = 30


def sizes(text: str) -> list:
    return [tuple(int(part) for part in size.split("x")) for size in text.split(",")]


def produce(name: str, folder: str, frames: int, wanted: list) -> dict:
    with lucarne.Producer(name, *wanted[0], folder=folder, formats=["XBGR8888"], patience=10) as producer:
        print("bound", flush=True)
        asked = wanted[0]
        for number in range(1, frames + 1):
            width, height = wanted[(number - 1) * len(wanted) // frames]
            deadline = time.monotonic() + TIMEOUT
            while True:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no frames of {width}x{height} in {TIMEOUT} s")
                frame = producer.acquire(TIMEOUT)
                if (frame.width, frame.height) == (width, height):
                    break
                # A new generation comes once every consumer has imported it.
                frame.discard()
                if asked != (width, height):
                    producer.reconfigure(width, height)
                    asked = (width, height)
                time.sleep(0.005)
            with frame:
                frame.write_rgb(pattern.picture(number, width, height))
        return {"sent": producer.sequence}


def consume(name: str, folder: str, frames: int, _wanted: list) -> dict:
    numbers, seen, bad, paths = [], set(), 0, set()
    with lucarne.Consumer(name, folder=folder, delivery="every", timeout=TIMEOUT) as consumer:
        while len(numbers) < frames:
            try:
                frame = consumer.receive(TIMEOUT)
            except lucarne.Ended:
                break
            with frame:
                numbers.append(frame.sequence)
                seen.add((frame.width, frame.height))
                bad += pattern.wrong(frame.sequence, frame.rgba())
                paths.add(frame.path + (" emulated" if frame.emulated else ""))
    return {"numbers": numbers, "sizes": sorted(seen), "wrong": bad, "paths": sorted(paths)}


def hold(name: str, folder: str, frames: int, wanted: list) -> dict:
    """Sends so many frames, says so, and waits to be killed."""
    producer = lucarne.Producer(name, *wanted[0], folder=folder, formats=["XBGR8888"], patience=10)
    print("bound", flush=True)
    for number in range(1, frames + 1):
        with producer.acquire(TIMEOUT) as frame:
            frame.write_rgb(pattern.picture(number, *wanted[0]))
    print("sent", flush=True)
    while True:
        producer.dispatch()
        time.sleep(0.01)


if __name__ == "__main__":
    role, name, folder, frames = sys.argv[1:5]
    run = {"produce": produce, "consume": consume, "hold": hold}[role]
    print(json.dumps(run(name, folder, int(frames), sizes((sys.argv[5:] or ["64x48"])[0]))))
