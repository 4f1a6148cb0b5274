"""The package as it was installed: its declarations are the header's, and another library is refused."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import lucarne
from lucarne import _abi
from lucarne._library import ffi, lib

ROOT = Path(__file__).resolve().parents[3]
HEADER = ROOT / "crates" / "lucarne-capi" / "include" / "lucarne.h"


def test_it_is_the_installed_one():
    assert "site-packages" in lucarne.__file__
    assert (Path(lucarne.__file__).parent / "py.typed").is_file()
    assert lucarne.library_version == lucarne.__version__
    from importlib.metadata import version

    assert version("lucarne") == lucarne.__version__


def test_the_licences_are_there():
    from importlib.metadata import distribution, metadata

    assert metadata("lucarne")["License-Expression"] == "MIT OR Apache-2.0"
    names = {Path(file).name for file in distribution("lucarne").files or []}
    assert {"LICENSE-MIT", "LICENSE-APACHE"} <= names


def test_the_declarations_are_the_headers():
    header = HEADER.read_text(encoding="utf-8")
    code = re.sub(r"//.*", "", header)
    functions = set(re.findall(r"\b(lucarne_\w+)\(", code))
    assert set(_abi.FUNCTIONS) == functions and len(functions) > 130
    sizes = dict(re.findall(r"LUCARNE_ASSERT_SIZE\((\w+), (\d+)\)", code))
    assert {name: int(size) for name, size in sizes.items()} == _abi.SIZES
    for name, size in _abi.SIZES.items():
        assert ffi.sizeof(name) == size
    for name, value in re.findall(r"^#define (LUCARNE_\w+) (-?\d+)$", code, re.MULTILINE):
        assert getattr(lib, name) == int(value), name


def test_everything_public_is_documented_and_listed():
    for name in lucarne.__all__:
        thing = getattr(lucarne, name)
        if not isinstance(thing, str):
            assert thing.__doc__, name
        if isinstance(thing, type):
            for member, value in vars(thing).items():
                if callable(value) and not member.startswith("_"):
                    assert value.__doc__, f"{name}.{member}"


def imported(**environment):
    import os

    command = [sys.executable, "-c", "import lucarne; print(lucarne.library_path)"]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "library, message",
    [("/nowhere/liblucarne.so", "could not load /nowhere/liblucarne.so"), ("libm.so.6", "libm.so.6 is not Lucarne's library")],
)
def test_another_library_is_refused(library, message):
    run = imported(LUCARNE_LIBRARY=library)
    assert run.returncode == 1 and "ImportError" in run.stderr and message in run.stderr, run.stderr


def test_a_library_can_be_chosen():
    run = imported(LUCARNE_LIBRARY=lucarne.library_path)
    assert run.stdout.strip() == lucarne.library_path, run.stderr


@pytest.mark.parametrize(
    "change, message",
    [
        ("_abi.VERSION = '0.2.0'", r"is Lucarne 0\.1\.\d+, but this package was made for 0\.2\.0"),
        ("_abi.FUNCTIONS = [*_abi.FUNCTIONS, 'lucarne_later']", "lacks lucarne_later: it is older than this package"),
        ("_abi.SIZES = {**_abi.SIZES, 'lucarne_plane': 24}", "lucarne_plane has 16 bytes here, but 24 in the library"),
    ],
)
def test_another_abi_is_refused(change, message):
    # The declarations are changed before the rest is imported, as another version's would be.
    loader = (
        "import importlib.util, sys, pathlib\n"
        "folder = pathlib.Path(importlib.util.find_spec('lucarne').origin).parent\n"
        "spec = importlib.util.spec_from_file_location('lucarne._abi', folder / '_abi.py')\n"
        "_abi = importlib.util.module_from_spec(spec)\n"
        "sys.modules['lucarne._abi'] = _abi\n"
        "spec.loader.exec_module(_abi)\n"
        f"{change}\n"
        "import lucarne\n"
    )
    run = subprocess.run([sys.executable, "-c", loader], capture_output=True, text=True, check=False)
    assert run.returncode == 1 and re.search(message, run.stderr), run.stderr
