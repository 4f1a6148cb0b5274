"""Watches a stream in an event loop: python asyncio_viewer.py NAME [FOLDER]. Prints each frame, and the time once a second beside it."""

import asyncio
import sys
from typing import Optional

import lucarne


async def watch(stream: lucarne.Consumer) -> None:
    """Frames come when the descriptor is readable; the loop runs other tasks in between."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    failure: Optional[lucarne.Error] = None

    def readable() -> None:
        nonlocal failure
        try:
            while True:
                frame = stream.try_receive()
                if frame is None:
                    return
                with frame:
                    print(frame, frame.planes[0].mean(), flush=True)
        except lucarne.Error as error:
            failure = error
            loop.remove_reader(stream.fileno())
            over.set()

    loop.add_reader(stream.fileno(), readable)
    readable()
    await over.wait()
    print("over:", failure)


async def clock() -> None:
    while True:
        print("tick", flush=True)
        await asyncio.sleep(1)


async def main() -> None:
    name, folder = sys.argv[1], (sys.argv[2:] or [None])[0]
    with lucarne.Consumer(name, folder=folder, delivery="every", timeout=10) as stream:
        ticking = asyncio.create_task(clock())
        await watch(stream)
        ticking.cancel()


asyncio.run(main())
