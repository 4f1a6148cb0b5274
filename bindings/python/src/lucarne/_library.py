"""The shared library: found, compared with the declarations, and called with errors as exceptions."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Optional

from ._errors import Error, Reason, error_class

try:
    from ._abi import FUNCTIONS, SIZES, VERSION, ffi as ffi
except ImportError as cause:
    raise ImportError(
        "lucarne was not installed: its declarations are made when it is (pip install ./bindings/python, then import it from another folder)"
    ) from cause

_SONAME = "liblucarne.so." + (VERSION.rpartition(".")[0] if VERSION.startswith("0.") else VERSION.partition(".")[0])
_HELP = (
    "install it (docs/c.md of Lucarne tells how: cargo cinstall --release --package lucarne-capi), install this package out of "
    "Lucarne's repository, which brings its own (pip install ./bindings/python), or set LUCARNE_LIBRARY to the path of one"
)


def _load() -> tuple[Any, str]:
    chosen = os.environ.get("LUCARNE_LIBRARY", "")
    bundled = Path(__file__).with_name("liblucarne.so")
    place = chosen if chosen not in ("", "system") else str(bundled) if bundled.is_file() and not chosen else _SONAME
    try:
        return ffi.dlopen(place), place
    except OSError as cause:
        raise ImportError(f"lucarne needs {_SONAME}, and could not load {place} ({cause}): {_HELP}") from cause


def _check(lib: Any, place: str) -> str:
    """Whether the library has the ABI that was declared. Returns its version."""
    missing = [name for name in FUNCTIONS if not _has(lib, name)]
    if "lucarne_version" in missing:
        raise ImportError(f"{place} is not Lucarne's library: it has no lucarne_version")
    number = lib.lucarne_version()
    got = (number >> 16, number >> 8 & 0xFF, number & 0xFF)
    wanted = tuple(int(part) for part in VERSION.split("."))
    # Before 1.0 each minor version has an ABI of its own.
    same = got[:2] == wanted[:2] if wanted[0] == 0 else got[0] == wanted[0] and got[1] >= wanted[1]
    version = ".".join(str(part) for part in got)
    if not same:
        raise ImportError(f"{place} is Lucarne {version}, but this package was made for {VERSION}: {_HELP}")
    if missing:
        raise ImportError(f"{place} calls itself Lucarne {version}, but lacks {', '.join(missing)}: it is older than this package; {_HELP}")
    for name, size in SIZES.items():
        if ffi.sizeof(name) != size:
            raise ImportError(f"{name} has {ffi.sizeof(name)} bytes here, but {size} in the library")
    return version


def _has(lib: Any, name: str) -> bool:
    try:
        getattr(lib, name)
    except (AttributeError, ffi.error):
        return False
    return True


lib, library_path = _load()
library_version = _check(lib, library_path)


def text(pointer: Any) -> str:
    """A string of the library's; empty for NULL."""
    return "" if pointer == ffi.NULL else ffi.string(pointer).decode("utf-8", "replace")


def c_text(value: Optional[str], name: str) -> Any:
    """A string for the library; NULL for None."""
    if value is None:
        return ffi.NULL
    if not isinstance(value, str):
        raise TypeError(f"{name} is {type(value).__name__}, but must be str")
    if "\0" in value:
        raise ValueError(f"{name} has a NUL character in it")
    return value.encode()


def call(function: Callable[..., int], *arguments: Any) -> None:
    """Runs a call that answers with a status alone."""
    error = ffi.new("lucarne_error **")
    status = function(*arguments, error)
    if status:
        raise _error(status, error[0])


def make(kind: str, free: Any, function: Callable[..., int], *arguments: Any) -> Any:
    """Runs a call that makes a handle, which `free` ends when nobody has it any more."""
    place = ffi.new(f"{kind} **")
    call(function, *arguments, place)
    return ffi.gc(place[0], free)


def fill(kind: str, function: Callable[..., int], *arguments: Any) -> Any:
    """Runs a call that fills a plain structure or number."""
    place = ffi.new(f"{kind} *")
    call(function, *arguments, place)
    return place[0]


def reasons(listing: Any) -> tuple[Reason, ...]:
    """A list of reasons, copied."""
    return tuple(_reason(listing, index) for index in range(lib.lucarne_reasons_count(listing)))


def _reason(listing: Any, index: int) -> Reason:
    one = ffi.new("lucarne_reason *")
    # It is there: the count said so.
    lib.lucarne_reasons_at(listing, index, one, ffi.NULL)
    return Reason(
        rung=one.rung,
        side={lib.LUCARNE_SIDE_PRODUCER: "producer", lib.LUCARNE_SIDE_CONSUMER: "consumer"}.get(one.side),
        kind=_KINDS.get(one.kind, "other"),
        name=text(lib.lucarne_reasons_name(listing, index)),
        available=bool(one.available),
        format=one.format,
        modifier=one.modifier,
        text=text(lib.lucarne_reasons_text(listing, index)),
    )


# As `extension` for LUCARNE_REQUIREMENT_EXTENSION.
_KINDS = {
    getattr(lib, name): name[len("LUCARNE_REQUIREMENT_") :].lower().replace("_", "-")
    for name in dir(lib)
    if name.startswith("LUCARNE_REQUIREMENT_")
}


def _error(status: int, error: Any) -> Error:
    try:
        message = text(lib.lucarne_error_message(error))
        why = reasons(lib.lucarne_error_reasons(error)) if error != ffi.NULL else ()
    finally:
        lib.lucarne_error_free(error)
    name = text(lib.lucarne_status_name(status))
    return error_class(status)(message or name, code=status, name=name, reasons=why)
