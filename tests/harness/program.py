"""A program that runs instead of the suites: what it is taken from, and its arguments on the kernel's line."""

import re
import struct
from pathlib import Path
from urllib.parse import quote

from .catalogue import ROOT

NAMES_SHOWN = 20
_HEADER = 110  # cpio(5), newc: the magic number and 13 fields of 8 hex digits
_MODE, _FILE_SIZE, _NAME_SIZE = 1, 6, 11
_REGULAR = 0o100000
_ET_EXEC, _ET_DYN, _X86_64, _PT_INTERP = 2, 3, 62, 3
_USER_END = 0x7ffffffff000  # kernel/lib/layout.h


class ProgramError(Exception):
    """The program cannot be run; the text says why."""


def _limit(name: str) -> int:
    """A #define of kernel/param/cmdline.h."""
    return int(re.search(rf"#define {name} (\d+)", (ROOT / "kernel/param/cmdline.h").read_text())[1])


def word(argv: tuple[str, ...]) -> str:
    """The kernel's init= word: + between the arguments, which are quoted as in a URL."""
    return "init=" + "+".join(quote(arg, safe="/=:,", errors="surrogateescape") for arg in argv)


def check_arguments(argv: tuple[str, ...]) -> None:
    """The kernel's limits."""
    most, size = _limit("INIT_ARGS_MAX"), _limit("INIT_TEXT_MAX")
    if not argv or not argv[0]:
        raise ProgramError("after -- comes the name of a program, and its arguments")
    if len(argv) > most:
        raise ProgramError(f"{len(argv)} arguments, the program's name among them, are too many; "
                           f"the most is {most}, the first beyond is {argv[most]!r}")
    if len(word(argv)) - len("init=") >= size:
        longest = max(argv, key=len)
        raise ProgramError(f"the arguments are too long: quoted as in a URL they have to be shorter than {size} "
                           f"characters in all; the longest is {longest[:60]!r}")


def _bare(name: str) -> str:
    """bin/prog, ./bin/prog and /bin/prog are one, as in kernel/lib/cpio.c."""
    while name.startswith(("/", "./")):
        name = name[1:] if name[0] == "/" else name[2:]
    return name


def _files(data: bytes) -> list[str]:
    """Names of the regular files of a cpio archive; ProgramError where it is damaged."""
    names, pos = [], 0
    while True:
        header = data[pos:pos + _HEADER]
        if header[:6] != b"070701" or not re.fullmatch(rb"[0-9a-fA-F]{104}", header[6:]):
            raise ProgramError(f"is damaged: there is no newc header at byte {pos}")
        field = [int(header[6 + 8 * i:14 + 8 * i], 16) for i in range(13)]
        start = (pos + _HEADER + field[_NAME_SIZE] + 3) & ~3
        name = data[pos + _HEADER:pos + _HEADER + field[_NAME_SIZE] - 1].decode(errors="surrogateescape")
        if name == "TRAILER!!!":
            return names
        if start + field[_FILE_SIZE] > len(data):
            raise ProgramError(f"is cut off in {name}")
        if field[_MODE] & 0o170000 == _REGULAR:
            names.append(name)
        pos = (start + field[_FILE_SIZE] + 3) & ~3


def _check_static(data: bytes) -> None:
    """Of an ELF file (elf(5), 64 bit): the kernel has no dynamic linker, and loads a program where it was linked."""
    if len(data) < 64 or data[4:6] != b"\x02\x01":
        raise ProgramError("is no 64-bit little-endian ELF program")
    kind, machine = struct.unpack_from("<HH", data, 16)
    start, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    if machine != _X86_64:
        raise ProgramError(f"is an ELF program for another machine ({machine}, not x86-64)")
    if kind != _ET_EXEC:
        raise ProgramError("is position-independent: link it with -static -no-pie" if kind == _ET_DYN else
                           "is an object file: link it with -static -no-pie")
    if (entry := struct.unpack_from("<Q", data, 24)[0]) >= _USER_END:
        raise ProgramError(f"begins at {entry:#x}, which is no address of a program: it is linked as a kernel is")
    if start + size * count > len(data):
        raise ProgramError("is cut off: its program headers are beyond its end")
    if any(struct.unpack_from("<I", data, start + i * size)[0] == _PT_INTERP for i in range(count)):
        raise ProgramError("is dynamically linked: link it with -static")


def _check_contents(data: bytes, program: str) -> None:
    if data.startswith(b"\x7fELF"):
        _check_static(data)
        return  # it answers to any name
    if not data.startswith(b"070701"):
        compressed = data.startswith((b"\x1f\x8b", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"BZh", b"\x04\x22\x4d\x18"))
        raise ProgramError(f"is {'compressed, ' if compressed else ''}neither an ELF program nor a cpio archive "
                           "in the newc format (find . | cpio -o -H newc)")
    files = _files(data)
    if _bare(program) not in map(_bare, files):
        more = f" and {len(files) - NAMES_SHOWN} more" if len(files) > NAMES_SHOWN else ""
        raise ProgramError(f"holds no file {program}; its files: {' '.join(files[:NAMES_SHOWN])}{more}")


def check_initrd(initrd: Path, program: str) -> None:
    """@program can be taken from @initrd: an ELF program, or a cpio archive that holds it."""
    try:
        _check_contents(initrd.read_bytes(), program)
    except OSError as error:
        raise ProgramError(f"--initrd {initrd}: {error.strerror}") from error
    except ProgramError as error:
        raise ProgramError(f"--initrd {initrd} {error}") from error
