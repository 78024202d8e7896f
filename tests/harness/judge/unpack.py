"""The ELF file in a packed kernel, and what its notes say of how it boots.

QEMU and Xen take a vmlinux as it is, which saves the time to unpack it in the guest."""

import bz2
import gzip
import lzma
import re
import shutil
import struct
import subprocess
from collections.abc import Callable

from . import JudgeError

# Source: Linux's Documentation/arch/x86/boot.rst: the magic number of the header, sectors of set-up, payload_offset.
_MAGIC_AT, _SECTORS_AT, _PAYLOAD_AT = 0x202, 0x1f1, 0x248
_ET_EXEC, _X86_64, _PT_NOTE = 2, 62, 4
# Xen's ELF notes (public/elfnote.h): where a PV guest begins, and where QEMU and a PVH guest do.
NOTE_PV, NOTE_PVH = 1, 18


class UnpackError(JudgeError):
    """It is no kernel, or packed in a way that is not known; the text says which, without the file's name."""


def _by_tool(*command: str) -> Callable[[bytes], bytes]:
    """Unpacks with a program of Debian's. What follows the packed part makes it complain; what came out counts."""
    def unpack(data: bytes) -> bytes:
        if not shutil.which(command[0]):
            raise UnpackError(f"is packed with {command[0]}, which is not installed: install {command[0]}")
        return subprocess.run(command, input=data, capture_output=True, check=False).stdout
    return unpack


def _lzma(data: bytes) -> bytes:
    return lzma.LZMADecompressor().decompress(data)


# How a payload begins, and what unpacks it. Behind the packed part is its size, in four bytes.
_PACKED = {
    b"\xfd7zXZ": _lzma, b"\x5d\x00\x00": _lzma, b"BZh": bz2.decompress, b"\x1f\x8b": gzip.decompress,
    b"\x28\xb5\x2f\xfd": _by_tool("zstd", "-dcq"), b"\x02\x21\x4c\x18": _by_tool("lz4", "-dcq"),
}


def _unpacked(payload: bytes) -> bytes:
    unpack = next((f for magic, f in _PACKED.items() if payload.startswith(magic)), None)
    if not unpack:
        raise UnpackError("is packed in a way that is not known here: xz, lzma, gzip, bzip2, zstd and lz4 are")
    try:
        return unpack(payload[:-4])
    except (lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise UnpackError(f"is damaged: {error}") from error


def _payload(image: bytes) -> bytes:
    """The packed part of a bzImage."""
    start, length = struct.unpack_from("<II", image, _PAYLOAD_AT)
    start += ((image[_SECTORS_AT] or 4) + 1) * 512
    if not length or start + length > len(image):
        raise UnpackError("is cut off: its payload lies beyond its end")
    return image[start:start + length]


def _check(elf: bytes) -> bytes:
    if len(elf) < 64 or not elf.startswith(b"\x7fELF\x02\x01"):
        raise UnpackError("is damaged: what it unpacks to is no 64-bit ELF file")
    if struct.unpack_from("<HH", elf, 16) != (_ET_EXEC, _X86_64):
        raise UnpackError("is an ELF file, but no kernel for x86-64")
    return elf


def vmlinux(image: bytes) -> bytes:
    """The ELF file in the kernel @image: a bzImage, or itself."""
    if image.startswith(b"\x7fELF"):
        return _check(image)
    if len(image) < _PAYLOAD_AT + 8 or image[_MAGIC_AT:_MAGIC_AT + 4] != b"HdrS":
        raise UnpackError("is no kernel: neither a bzImage nor a vmlinux")
    return _check(_unpacked(_payload(image)))


def version(elf: bytes) -> str:
    """What it says of itself."""
    said = re.search(rb"Linux version (\d\S+)", elf)
    return said[1].decode("ascii", "replace") if said else "unknown"


def _segments(elf: bytes) -> list[bytes]:
    """The note segments of @elf (elf(5))."""
    start, size, count = struct.unpack_from("<Q", elf, 32)[0], *struct.unpack_from("<HH", elf, 54)
    found = []
    for at in range(start, start + size * count, size):
        kind, _, offset, _, _, length = struct.unpack_from("<IIQQQQ", elf, at)
        if kind == _PT_NOTE:
            found.append(elf[offset:offset + length])
    return found


def notes(elf: bytes) -> set[int]:
    """The types of the notes in @elf that Xen's name stands in."""
    found = set()
    for segment in _segments(elf):
        at = 0
        while at + 12 <= len(segment):
            name, described, kind = struct.unpack_from("<III", segment, at)
            if segment[at + 12:at + 12 + name] == b"Xen\0":
                found.add(kind)
            at += 12 + (name + 3 & ~3) + (described + 3 & ~3)
    return found
