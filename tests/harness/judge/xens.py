"""The hypervisors that can be tried: this machine's Xen, Debian's by version, and files.

VERSION          one of Debian's archive: 4.14, 4.20, or the whole version of a package
FILE             an ELF file or that packed with gzip: what a build of Xen leaves as xen and xen.gz

What was fetched is kept below archive.folder()/xens/, in a directory that has the package's version as its name."""

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..build import locked
from ..report_file import callers_path
from . import JudgeError, archive, versions
from .shelf import Shelf

BOOT = Path("/boot")
_BANNER = b"Xen version %d.%d"  # its first words on the console: in every build


class XenError(JudgeError):
    """There is no such Xen, or it is none; the text is one line."""


@dataclass(frozen=True)
class Xen:
    """One that can be booted."""
    name: str     # what --xen takes; empty: this machine's
    series: str   # 4.17; of a file what it says of itself, or empty
    image: Path   # packed with gzip, or not
    version: str = ""  # of Debian's package

    def elf(self) -> bytes:
        """What QEMU takes: it unpacks nothing."""
        return _unpacked(self.image.read_bytes())


SHELF = Shelf("Xen", "xens", r"xen-hypervisor-\d+\.\d+-amd64", XenError)


def _unpacked(data: bytes) -> bytes:
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def machines() -> Xen:
    """The newest that is installed here."""
    found = [(m[1], path) for path in BOOT.glob("xen-*-amd64.gz") if (m := re.fullmatch(r"xen-(\d+\.\d+)-amd64\.gz", path.name))]
    if not found:
        raise XenError("no Xen is installed on this machine; as root, run: apt-get install xen-hypervisor-VERSION-amd64")
    series, path = max(found, key=lambda pair: versions.key(pair[0]))
    return Xen("", series, path)


def _of_archive(wanted: str, say: Callable[[str], None]) -> Xen:
    release = SHELF.find(wanted)
    version, target = release.package.version, SHELF.place(release)
    with locked(target.with_name(f".{target.name}.lock")):
        if not target.exists():
            say(f"pteron: fetching Xen {version}, of {release.package.suite}")
            if not archive.fetch(release.package, target, lambda path: re.fullmatch(r"/boot/xen-.*\.gz", path) is not None):
                raise XenError(f"the package {release.package.name} {version} holds no Xen")
    return Xen(version, release.series, next(target.glob("xen-*.gz")), version)


def of_file(path: Path) -> Xen:
    """The Xen in the file @path."""
    try:
        elf = _unpacked(path.read_bytes())
    except OSError as error:
        raise XenError(f"--xen {path}: {error.strerror or error}") from error
    except (EOFError, zlib.error) as error:
        raise XenError(f"--xen {path} is damaged: {error}") from error
    if not elf.startswith(b"\x7fELF"):
        raise XenError(f"--xen {path} is no ELF file, nor that packed with gzip: give xen or xen.gz of a build, not xen.efi")
    if _BANNER not in elf:
        raise XenError(f"--xen {path} is an ELF file, but no Xen")
    said = re.search(rb"\0(\d+\.\d+)[.\-+][\w.+~\-]*\0", elf[elf.index(_BANNER):])
    return Xen(str(path), said[1].decode() if said else "", path)


def get(name: str, say: Callable[[str], None] = lambda _: None) -> Xen:
    """The Xen that --xen @name means, or this machine's; it is fetched if need be."""
    if not name:
        return machines()
    if "/" in name or callers_path(name).exists():
        return of_file(callers_path(name).resolve())
    if SHELF.is_version(name):
        return _of_archive(name, say)
    raise XenError(f"--xen {name}: there are VERSION (./pteron list xens) and FILE, and no file has that name")


def _here() -> str:
    try:
        return str(machines().image)
    except XenError as error:
        return f"none; {error}"


def table() -> Iterator[str]:
    """What ./pteron list xens prints."""
    return SHELF.table("--xen", _here)
