"""Both ends of a stream, and a hostile one of each, written from docs/protocol.md alone. It needs Python 3.10 and nothing else.

consume SOCKET                   takes every frame; prints "SEQUENCE NUMBER EXTENT" for each
produce SOCKET CONSUMERS FRAMES  waits for so many consumers, and sends so many frames in each of two sizes
consume-badly SOCKET             breaks the protocol in each way; prints how the producer ended it, or fails
produce-badly SOCKET             the same with a consumer for each way
"""

import sys

import breaches
import consumer
import producer

match sys.argv[1:]:
    case ["consume", path]:
        consumer.run(path)
    case ["produce", path, consumers, frames]:
        producer.run(path, int(consumers), int(frames))
    case ["consume-badly", path]:
        breaches.consume(path)
    case ["produce-badly", path]:
        breaches.produce(path)
    case _:
        sys.exit(__doc__)
