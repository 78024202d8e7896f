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

BOOT = Path("/boot")
_PACKAGE = r"xen-hypervisor-(\d+\.\d+)-amd64"
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


@dataclass(frozen=True)
class Release:
    """One version of a package of the archive."""
    series: str
    package: archive.Package
    cached: bool


def _unpacked(data: bytes) -> bytes:
    return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data


def _folder() -> Path:
    return archive.folder() / "xens"


def machines() -> Xen:
    """The newest that is installed here."""
    found = [(m[1], path) for path in BOOT.glob("xen-*-amd64.gz") if (m := re.fullmatch(r"xen-(\d+\.\d+)-amd64\.gz", path.name))]
    if not found:
        raise XenError("no Xen is installed on this machine; as root, run: apt-get install xen-hypervisor-VERSION-amd64")
    series, path = max(found, key=lambda pair: versions.key(pair[0]))
    return Xen("", series, path)


def _cached() -> list[Release]:
    return [Release(re.fullmatch(_PACKAGE, package.name)[1], package, True) for _, package in archive.kept(_folder())]


def available(fresh: bool = False) -> list[Release]:
    """Those of the archive and those that were fetched, the oldest first."""
    here = {r.package.version: r for r in _cached()}
    for package in archive.packages(_PACKAGE, fresh):
        here.setdefault(package.version, Release(re.fullmatch(_PACKAGE, package.name)[1], package, False))
    return sorted(here.values(), key=lambda r: versions.key(r.package.version))


def _fits(release: Release, wanted: str) -> bool:
    return wanted == release.package.version or versions.is_in(versions.upstream(release.package.version), wanted)


def _find(wanted: str) -> Release:
    """The newest that @wanted means. One that was fetched needs no network."""
    for releases in (lambda: [r for r in _cached() if wanted == r.package.version], available, lambda: available(True)):
        among = releases()
        if found := [r for r in among if _fits(r, wanted)]:
            return found[-1]
    raise XenError(f"there is no Xen {wanted} in Debian's archive; there are: {' '.join(sorted({r.series for r in among}, key=versions.key))} "
                   "(./pteron list xens names all versions)")


def _of_archive(wanted: str, say: Callable[[str], None]) -> Xen:
    release = _find(wanted)
    version = release.package.version
    target = _folder() / version
    with locked(_folder() / f".{version}.lock"):
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
    if re.fullmatch(r"\d+\.\d[\w.+~-]*", name):
        return _of_archive(name, say)
    raise XenError(f"--xen {name}: there are VERSION (./pteron list xens) and FILE, and no file has that name")


def table() -> Iterator[str]:
    """What ./pteron list xens prints."""
    yield f"{'--xen':<8} {'version':<40} {'suite':<20} cached"
    releases, why = archive.listed(available, _cached)
    yield from why
    for r in releases:
        yield f"{r.series:<8} {r.package.version:<40} {r.package.suite:<20} {'yes' if r.cached else ''}".rstrip()
    try:
        here = machines()
        yield f"without --xen: {here.image}"
    except XenError as error:
        yield f"without --xen: none; {error}"
