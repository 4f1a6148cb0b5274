"""The CPU as a device: one for the process."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from ._errors import InvalidArgument
from ._library import lib, make

ALLOCATORS = {
    "best": lib.LUCARNE_ALLOCATOR_BEST,
    "udmabuf": lib.LUCARNE_ALLOCATOR_UDMABUF,
    "dma-heap": lib.LUCARNE_ALLOCATOR_DMA_HEAP,
    "host-memory": lib.LUCARNE_ALLOCATOR_HOST_MEMORY,
}


def cpu(allocator: str = "best") -> Any:
    """The CPU with one of the allocators, which matters for what it exports only."""
    if allocator not in ALLOCATORS:
        raise InvalidArgument(f"allocator is {allocator!r}, but must be one of {', '.join(ALLOCATORS)}")
    return _open(ALLOCATORS[allocator])


@lru_cache(maxsize=None)
def _open(allocator: int) -> Any:
    return make("lucarne_device", lib.lucarne_device_free, lib.lucarne_cpu_device_open, allocator)
