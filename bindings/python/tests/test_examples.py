"""The programs of examples/, as a user runs them."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from conftest import LONG, finish

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name, *arguments):
    command = [sys.executable, "-B", str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def picture_of():
    spec = importlib.util.spec_from_file_location("webcam", EXAMPLES / "webcam.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.picture


def test_a_snapshot_of_the_webcam(folder):
    from PIL import Image

    camera = run("webcam.py", "rings", "--size", "160x90", "--folder", folder)
    place = Path(folder) / "rings.png"
    told = finish(run("snapshot.py", "rings", place, folder))
    camera.terminate()
    camera.communicate(timeout=LONG)
    number = int(re.search(r"Frame (\d+) 160x90", told)[1])
    with Image.open(place) as image:
        saved = np.asarray(image)
    assert saved.shape == (90, 160, 4)
    assert (saved[..., :3] == picture_of()(number, 160, 90)).all()
    assert (saved[..., 3] == 255).all()


def test_the_guides_code(folder):
    page = (EXAMPLES.parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
    show, draw, fail = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (Path(folder) / "lucarne").mkdir()

    def start_block(code):
        environment = {**os.environ, "XDG_RUNTIME_DIR": folder}
        command = [sys.executable, "-c", code]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    assert finish(start_block(fail)).startswith("11 not found ")
    assert ".show()" in show
    drawing = start_block(draw.replace('"rings"', '"scene"').replace("timeout=60", "timeout=5"))
    told = finish(start_block(show.replace(".show()", ".save('/dev/null', 'PNG')")))
    drawing.kill()
    drawing.communicate(timeout=LONG)
    assert re.match(r"640 480 XBGR8888 [\d.]+\n", told), told


def test_the_webcam_in_an_event_loop(folder):
    camera = run("webcam.py", "rings", "--size", "64x48", "--frames", 5, "--rate", 200, "--folder", folder)
    told = finish(run("asyncio_viewer.py", "rings", folder))
    finish(camera)
    frames = re.findall(r"Frame (\d+) 64x48 \w+ in [\w-]+> ([\d.]+)", told)
    assert [int(number) for number, _ in frames] == [1, 2, 3, 4, 5], told
    assert len({mean for _, mean in frames}) > 1
    assert "tick" in told and "over: " in told and "ended" in told, told
