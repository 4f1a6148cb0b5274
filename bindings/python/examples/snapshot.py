"""Saves the next frame of a stream as a picture: python snapshot.py scene scene.png [FOLDER]"""

import sys

import lucarne
from PIL import Image

name, place = sys.argv[1:3]
with lucarne.Consumer(name, folder=(sys.argv[3:] or [None])[0], timeout=10) as stream:
    with stream.receive(timeout=10) as frame:
        print(frame, "mean", frame.array.mean())
        Image.fromarray(frame.rgba()).save(place)
