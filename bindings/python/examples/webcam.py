"""A stream that numpy draws, as a camera would: python webcam.py NAME [--frames N] [--size 640x480] [--rate 30] [--folder FOLDER]

Watch it with `lucarne view NAME`, or with snapshot.py.
"""

import argparse
import time

import lucarne
import numpy as np


def picture(number: int, width: int, height: int) -> np.ndarray:
    """Rings that run outwards from a centre that moves. Frame 1 is the first."""
    y, x = np.mgrid[0:height, 0:width]
    around = number / 20
    centre = width * (0.5 + 0.3 * np.cos(around)), height * (0.5 + 0.3 * np.sin(around))
    distance = np.hypot(x - centre[0], y - centre[1]) / 12 - number / 4
    waves = [127.5 + 127.5 * np.sin(distance + shift) for shift in (0, 2, 4)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--frames", type=int, default=0, help="how many to send; 0: until Ctrl-C")
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--rate", type=float, default=30, help="frames in a second")
    parser.add_argument("--folder")
    options = parser.parse_args()
    width, height = (int(part) for part in options.size.split("x"))
    with lucarne.Producer(options.name, width, height, folder=options.folder) as camera:
        print(f"{options.name} is on: {width}x{height}; Ctrl-C ends it", flush=True)
        due = time.monotonic()
        while not options.frames or camera.sequence < options.frames:
            try:
                frame = camera.acquire(timeout=1)
            except lucarne.Timeout:
                continue  # Nobody watches.
            with frame:
                frame.write_rgb(picture(camera.sequence + 1, width, height))
            for event in camera.events():
                print(event.kind, event.text or event.format, flush=True)
            due += 1 / options.rate
            time.sleep(max(0, due - time.monotonic()))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
