"""Zstandard, by whatever is there: Python's own from 3.14 on, the package `zstandard`, or the system's library."""
from __future__ import annotations

import ctypes
import ctypes.util
from typing import Callable, NamedTuple


class Codec(NamedTuple):
    compress: Callable[[bytes], bytes]
    #: Of one frame, exactly so many bytes.
    decompress: Callable[[bytes, int], bytes]


def _standard() -> Codec | None:
    try:
        from compression import zstd  # type: ignore[import-not-found]
    except ImportError:
        return None
    return Codec(lambda data: zstd.compress(data, 1), lambda data, size: zstd.decompress(data))


def _package() -> Codec | None:
    try:
        import zstandard  # type: ignore[import-not-found]
    except ImportError:
        return None
    return Codec(lambda data: zstandard.ZstdCompressor(level=1).compress(data),
                 lambda data, size: zstandard.ZstdDecompressor().decompress(data, max_output_size=size))


def _system() -> Codec | None:
    name = ctypes.util.find_library("zstd")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    for function in (library.ZSTD_compressBound, library.ZSTD_compress, library.ZSTD_decompress):
        function.restype = ctypes.c_size_t

    def checked(count: int) -> int:
        if library.ZSTD_isError(ctypes.c_size_t(count)):
            raise ValueError("no Zstandard frame")
        return count

    def compress(data: bytes) -> bytes:
        room = ctypes.create_string_buffer(library.ZSTD_compressBound(ctypes.c_size_t(len(data))))
        count = checked(library.ZSTD_compress(room, ctypes.c_size_t(len(room)), data, ctypes.c_size_t(len(data)), 1))
        return room.raw[:count]

    def decompress(data: bytes, size: int) -> bytes:
        room = ctypes.create_string_buffer(max(1, size))
        count = checked(library.ZSTD_decompress(room, ctypes.c_size_t(size), data, ctypes.c_size_t(len(data))))
        return room.raw[:count]
    return Codec(compress, decompress)


def codec() -> Codec | None:
    return _standard() or _package() or _system()
