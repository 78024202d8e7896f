"""The kernels that can be tried: Debian's by version, and files.

linux            the newest of this machine's Debian
linux-VERSION    one of Debian's archive: 7.0.4, 7.0 (the newest of them), 6.12.107+deb13, 6.1.0-47
FILE             a bzImage or a vmlinux of one's own

A kernel of Debian's is one of several packages, and which of them holds the file depends on its age; so the file is
looked for. It is kept unpacked below archive.folder()/kernels/, in a directory that has its release's name."""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .. import build
from ..report_file import callers_path
from . import JudgeError, archive, unpack, versions

PTERON = "pteron"
FLAVOUR = "amd64"
NEAREST = 4  # how many a refusal names
_PACKAGE = re.compile(rf"linux-(?:image|binary|base)(?:-unsigned)?-(\d+\.\d+\.\d[\w.+~-]*?)-{FLAVOUR}(?:-unsigned)?")
# The likeliest first; what only depends on others has no kernel in it.
_ORDER = ("linux-binary-{}-amd64", "linux-image-{}-amd64", "linux-base-{}-amd64", "linux-binary-unsigned-{}-amd64",
          "linux-image-{}-amd64-unsigned")


class KernelError(JudgeError):
    """There is no such kernel, or it is none; the text is one line."""


@dataclass(frozen=True)
class Kernel:
    """One that can be booted."""
    name: str     # what --kernel takes, exactly this one
    release: str  # as `uname -r` says
    image: Path   # an ELF file
    version: str = ""  # of Debian's package
    suite: str = ""

    @property
    def notes(self) -> set[int]:
        """How it boots: unpack.NOTE_PV, NOTE_PVH."""
        return unpack.notes(self.image.read_bytes())


@dataclass(frozen=True)
class Release:
    """One that the archive has, or had when it was fetched."""
    release: str
    version: str
    suite: str
    cached: bool
    packages: tuple[archive.Package, ...] = ()

    @property
    def upstream(self) -> str:
        return versions.upstream(self.version)

    @property
    def name(self) -> str:
        return f"linux-{self.release}"

    @property
    def is_special(self) -> bool:
        """Built for real time, or for clouds: only who names it gets it."""
        return self.release.endswith(("-rt", "-cloud"))


def _folder() -> Path:
    return archive.folder() / "kernels"


# --- what there is ---

def cached() -> list[Release]:
    """Those that were fetched."""
    found = [Release(path.name, package.version, package.suite, True) for path, package in archive.kept(_folder()) if (path / "vmlinux").exists()]
    return sorted(found, key=lambda r: versions.key(r.version))


def available(fresh: bool = False) -> list[Release]:
    """Those of the archive and those that were fetched, the oldest first."""
    here = {r.release: r for r in cached()}
    groups: dict[str, list[archive.Package]] = {}
    for package in archive.packages(_PACKAGE.pattern, fresh):
        groups.setdefault(_PACKAGE.fullmatch(package.name)[1], []).append(package)
    for release, packages in groups.items():
        newest = max(packages, key=lambda p: versions.key(p.version))
        here[release] = Release(release, newest.version, newest.suite, release in here, tuple(packages))
    return sorted(here.values(), key=lambda r: versions.key(r.version))


def _fits(release: Release, wanted: str) -> bool:
    return wanted == release.release or not release.is_special and wanted in (release.version, release.upstream)


def _chosen(releases: list[Release], wanted: str) -> Release | None:
    """The newest that @wanted means, if any: a whole version, or a series."""
    found = [r for r in releases if _fits(r, wanted)] or \
        [r for r in releases if not r.is_special and versions.is_in(r.upstream, wanted)]
    return max(found, key=lambda r: versions.key(r.version), default=None)


def _refusal(releases: list[Release], wanted: str) -> str:
    """Which there are, near to @wanted."""
    order = sorted({r.upstream for r in releases}, key=versions.key)
    at = sum(versions.compare(v, wanted) < 0 for v in order)
    near = order[max(0, at - NEAREST // 2):at + NEAREST // 2]
    return f"there is no Linux {wanted} in Debian's archive; the nearest: {' '.join(near) or 'none'} (./pteron list kernels names all)"


def find(wanted: str) -> Release:
    """The release that linux-@wanted means. One that was fetched needs no network."""
    exact = [r for r in cached() if _fits(r, wanted)]
    if exact:
        return _chosen(exact, wanted)
    for fresh in (False, True):
        releases = available(fresh)
        if found := _chosen(releases, wanted):
            return found
    raise KernelError(_refusal(releases, wanted))


def machines() -> str:
    """The release of the newest kernel of this machine's Debian."""
    depends = build.run_checked("apt-cache", "depends", f"linux-image-{FLAVOUR}")
    if m := re.search(rf"Depends: linux-image-(\S+)-{FLAVOUR}\b", depends):
        return m[1]
    raise build.BuildError(f"apt knows no linux-image-{FLAVOUR}; as root, run: apt-get update")


# --- to have it ---

def _is_wanted(path: str) -> bool:
    """A package has the kernel in /boot or, of late, beside its modules."""
    return re.search(r"/(?:boot|usr/lib/modules/[^/]+|lib/modules/[^/]+)/(?:vmlinuz|vmlinux|config)[^/]*$", path) is not None


def _order(package: archive.Package, release: str) -> int:
    names = [name.format(release) for name in _ORDER]
    return names.index(package.name) if package.name in names else len(names)


def _unpack_in(folder: Path) -> bool:
    """Make vmlinux of the packed kernel in @folder, if there is one."""
    packed = next(iter(sorted(folder.glob("vmlinu[xz]*"))), None)
    if packed is None:
        return False
    elf = unpack.vmlinux(packed.read_bytes())
    packed.unlink()
    part = folder / ".vmlinux.part"
    part.write_bytes(elf)
    part.rename(folder / "vmlinux")
    return True


def _fetch(release: Release, target: Path) -> None:
    for package in sorted(release.packages, key=lambda p: _order(p, release.release)):
        staging = target.with_name(f".{target.name}.{package.name}")
        if archive.fetch(package, staging, _is_wanted):
            if _unpack_in(staging):
                staging.rename(target)
                return
            for file in staging.iterdir():
                file.unlink()
            staging.rmdir()
    raise KernelError(f"none of the packages of Linux {release.release} holds a kernel: {' '.join(p.name for p in release.packages)}")


def _of_archive(wanted: str, say: Callable[[str], None]) -> Kernel:
    release = find(wanted)
    target = _folder() / release.release
    with build.locked(_folder() / f".{release.release}.lock"):
        if not (target / "vmlinux").exists():
            say(f"pteron: fetching Linux {release.release} ({release.version}, of {release.suite})")
            _fetch(release, target)
    return Kernel(release.name, release.release, target / "vmlinux", release.version, release.suite)


def _of_file(name: str) -> Kernel:
    """A file is unpacked once for each content."""
    path = callers_path(name).resolve()
    try:
        packed = path.read_bytes()
        if packed.startswith(b"\x7fELF"):
            return Kernel(str(path), unpack.version(unpack.vmlinux(packed)), path)
        target = archive.folder() / "files" / hashlib.sha256(packed).hexdigest()[:32] / "vmlinux"
        elf = target.read_bytes() if target.exists() else unpack.vmlinux(packed)
    except OSError as error:
        raise KernelError(f"--kernel {name}: {error.strerror}") from error
    except unpack.UnpackError as error:
        raise KernelError(f"--kernel {name} {error}") from error
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f"vmlinux.{os.getpid()}")
        part.write_bytes(elf)
        part.rename(target)
    return Kernel(str(path), unpack.version(elf), target)


def get(name: str, say: Callable[[str], None] = lambda _: None) -> Kernel:
    """The kernel that --kernel @name means; it is fetched if need be."""
    if name == "linux":
        return _of_archive(machines(), say)
    if m := re.fullmatch(r"linux-(\d[\w.+~-]*)", name):
        return _of_archive(m[1], say)
    if "/" in name or callers_path(name).exists():
        return _of_file(name)
    raise KernelError(f"--kernel {name}: there are pteron, linux, linux-VERSION (./pteron list kernels) and FILE, "
                      "and no file has that name")


def check(kernel: Kernel, on: str) -> None:
    """It can boot there."""
    need, what = (unpack.NOTE_PVH, "CONFIG_PVH, without which QEMU cannot start it") if on == "qemu" else (
        unpack.NOTE_PV, "CONFIG_XEN_PV, without which Xen cannot start it as a PV guest")
    if need not in kernel.notes:
        raise KernelError(f"--kernel {kernel.name} was built without {what}")


def table() -> Iterator[str]:
    """What ./pteron list kernels prints."""
    yield f"{'--kernel':<32} {'version':<22} {'suite':<20} cached"
    releases, why = archive.listed(available, cached)
    yield from why
    for r in releases:
        yield f"{r.name:<32} {r.version:<22} {r.suite:<20} {'yes' if r.cached else ''}".rstrip()
