"""Builds the package: declarations out of lucarne.h, and liblucarne.so out of this repository where it is one.

LUCARNE_LIBRARY=FILE takes that library and builds none; LUCARNE_LIBRARY=system takes none: the system's is loaded then.
LUCARNE_PROFILE=NAME builds with another of cargo's profiles than `release`.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import declarations  # noqa: E402  (beside this file)

CRATE = HERE.parent.parent / "crates" / "lucarne-capi"
CHOICE = os.environ.get("LUCARNE_LIBRARY", "")
# An archive of sources has the header and no Rust.
BUILDS = CRATE.is_dir() and not CHOICE
BUNDLES = BUILDS or CHOICE not in ("", "system")


def leftovers():
    """Where files of the build may lie: in a repository its target folder, so that the sources stay clean."""
    if not CRATE.is_dir():
        return {}
    place = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target")) / "python"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        # Read-only: setuptools knows other places.
        return {}
    return {"build": {"build_base": str(place / "build")}, "egg_info": {"egg_base": str(place)}}


def header():
    """The header of this repository, or the one that an archive of sources has."""
    places = [CRATE / "include" / "lucarne.h", HERE / "src" / "lucarne" / "lucarne.h"]
    found = [place for place in places if place.is_file()]
    if not found:
        raise SystemExit(f"lucarne: lucarne.h is at none of {', '.join(map(str, places))}")
    return found[0]


def built():
    """The library that cargo makes of this repository, in its own target folder."""
    profile = os.environ.get("LUCARNE_PROFILE", "release")
    command = ["cargo", "build", "--package", "lucarne-capi", "--profile", profile, "--message-format", "json-render-diagnostics"]
    print("lucarne:", " ".join(command), flush=True)
    try:
        run = subprocess.run(command, cwd=CRATE, stdout=subprocess.PIPE, text=True, check=False)
    except FileNotFoundError:
        raise SystemExit(
            "lucarne: cargo is not there, which builds liblucarne.so: install Rust 1.88 or newer (https://rustup.rs), or name a "
            "library that is built: LUCARNE_LIBRARY=/path/to/liblucarne.so, or LUCARNE_LIBRARY=system for the system's"
        ) from None
    if run.returncode:
        raise SystemExit(f"lucarne: cargo could not build liblucarne.so (exit status {run.returncode}); what it said stands above")
    for line in run.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and "cdylib" in message["target"]["kind"]:
            for name in message["filenames"]:
                if name.endswith("liblucarne_capi.so"):
                    return Path(name)
    raise SystemExit("lucarne: cargo named no liblucarne_capi.so")


def library():
    """What goes into the package, or None for the system's."""
    if BUILDS:
        return built()
    if not BUNDLES:
        return None
    chosen = Path(CHOICE)
    if not chosen.is_file():
        raise SystemExit(f"lucarne: LUCARNE_LIBRARY is {CHOICE}, but must be a library's path, or `system`")
    return chosen


class Build(build_py):
    """Adds what is made to the sources."""

    def run(self):
        # Nothing of an earlier build gets in.
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        folder = HERE / "src" if self.editable_mode else Path(self.build_lib)
        package = folder / "lucarne"
        package.mkdir(parents=True, exist_ok=True)
        write_abi(package)
        place = package / "liblucarne.so"
        place.unlink(missing_ok=True)
        chosen = library()
        if chosen:
            shutil.copyfile(chosen, place)
            place.chmod(0o755)
            if BUILDS:
                strip(place)


def strip(library):
    """Takes the lines of sources out, which are three quarters of it, where binutils are there."""
    program = shutil.which("strip")
    if program:
        subprocess.run([program, "--strip-debug", str(library)], check=True)


def write_abi(package):
    """The declarations in cffi's own form, so that importing parses no C; and the sizes, to be compared."""
    import cffi

    text, sizes, version = declarations.read(header().read_text(encoding="utf-8"))
    ffi = cffi.FFI()
    ffi.set_source("lucarne._abi", None)
    ffi.cdef(text)
    for name, size in sizes.items():
        if ffi.sizeof(name) != size:
            raise SystemExit(f"lucarne: {name} has {ffi.sizeof(name)} bytes for cffi, but {size} in lucarne.h")
    place = package / "_abi.py"
    ffi.emit_python_code(str(place))
    told = f"VERSION = {version!r}\nSIZES = {sizes!r}\nFUNCTIONS = {declarations.functions(text)!r}\n"
    # cffi's module has no types.
    place.write_text(f"# mypy: ignore-errors\n{place.read_text(encoding='utf-8')}\n{told}", encoding="utf-8")



class Sources(sdist):
    """Adds the header to the archive, as it lies outside this folder."""

    def make_release_tree(self, base_dir, files):
        super().make_release_tree(base_dir, files)
        shutil.copyfile(header(), Path(base_dir) / "src" / "lucarne" / "lucarne.h")


class Wheel(bdist_wheel):
    """With a library it is for one kind of machine, and for every Python."""

    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = not BUNDLES

    def get_tag(self):
        return ("py3", "none", super().get_tag()[2] if BUNDLES else "any")


class Binary(Distribution):
    def has_ext_modules(self):
        return BUNDLES


setup(
    version=declarations.read(header().read_text(encoding="utf-8"))[2],
    cmdclass={"build_py": Build, "sdist": Sources, "bdist_wheel": Wheel},
    distclass=Binary,
    options=leftovers(),
)
