"""A Linux dom0 with xl, small enough to boot in seconds, from Debian's packages; and a guest in it.

Linux and Xen's tools are unpacked below build/dom0/, not installed: they are the virtual machine's,
not this machine's. Each series of Xen has tools of its own. The libraries of this machine's are this machine's
(the front door installs them); those of another series' come from where its tools do."""

import gzip
import lzma
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .build import BuildError, locked, run_checked
from .catalogue import ROOT
from .judge import archive, unpack, versions
from .judge.kernels import FLAVOUR, machines as machines_linux
from .judge.xens import Xen, XenError, machines

DIRECTORY = ROOT / "build/dom0"
CONFIG = ROOT / "boot/pteron.cfg"
INIT = Path(__file__).with_name("dom0_init.sh")
MODULES = ["xen-privcmd", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xenfs"]
TOOLS = ["xl", "xenstored", "xenconsoled", "xen-init-dom0", "xenperf"]
# libxenctrl opens it at run time, for threads that end.
EXTRA_LIBRARIES = ["libgcc_s.so.1"]
LIBRARIES, LOADER = "lib/x86_64-linux-gnu", "ld-linux-x86-64.so.2"


def _extract(debs: Path, root: Path) -> None:
    for deb in debs.glob("*.deb"):
        run_checked("dpkg", "-x", str(deb), str(root))
    shutil.rmtree(debs)


def _fetch_tools(series: str, debs: Path) -> None:
    """Leave the packages of the tools of another series than this machine's in @debs, and those of their libraries."""
    found = archive.packages(re.escape(f"xen-utils-{series}"))
    if not found:
        raise XenError(f"Debian's archive has no xen-utils-{series}, so --on xl cannot start a domain on that Xen; --on xen needs none")
    needed = archive.needed(max(found, key=lambda p: versions.key(p.version)))
    archive.download([p for p in needed if p.name.startswith(("lib", "zlib", f"xen-utils-{series}"))], debs)


def _unpack(series: str, root: Path) -> Path:
    """Leave Linux and the tools in @root; where the tools' libraries are."""
    debs = root.with_name("debs")
    shutil.rmtree(debs, ignore_errors=True)
    debs.mkdir(parents=True)
    own = series == machines().series
    if not own:
        _fetch_tools(series, debs)
    run_checked("apt-get", "download", "-q", f"linux-image-{machines_linux()}-{FLAVOUR}", *([f"xen-utils-{series}"] if own else []), cwd=debs)
    _extract(debs, root)
    return Path("/") if own else root


def _loader(root: Path) -> Path:
    """The dynamic loader in @root; Debian's suites have it in one of two places."""
    return next(path for folder in ("lib64", "usr/lib64", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")
                if (path := root / folder / LOADER).exists())


def _libraries(programs: list[Path], root: Path) -> set[Path]:
    """The shared libraries of @programs in @root, as its loader finds them."""
    folders = [root / folder for folder in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")]
    found = set()
    for program in programs:
        for line in run_checked(str(_loader(root)), "--library-path", ":".join(map(str, folders)), "--list", str(program)).splitlines():
            if "not found" in line:
                raise BuildError(f"{program.name}: {line.strip()}")
            path = re.search(r"=> (/\S+) \(0x", line)
            if path:
                found.add(Path(path[1]))
    return found | {path for folder in folders for name in EXTRA_LIBRARIES if (path := folder / name).exists()}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def cpio(directory: Path) -> bytes:
    """The files below @directory in the format of an initramfs."""
    names = sorted(str(p.relative_to(directory)) for p in directory.rglob("*"))
    done = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=directory,
                          input="\n".join(names).encode(), capture_output=True, check=True)
    return done.stdout


def _add_modules(unpacked: Path, tree: Path) -> None:
    """The kernel's MODULES, in their order; some Debians pack them, and busybox does not unpack."""
    (tree / "modules").mkdir()
    for number, module in enumerate(MODULES):
        file = next(unpacked.rglob(f"{module}.ko*"))
        data = file.read_bytes()
        (tree / f"modules/{number}-{module}.ko").write_bytes(lzma.decompress(data) if file.suffix == ".xz" else data)


def _make_initramfs(series: str, unpacked: Path, libraries: Path, tree: Path) -> None:
    tools = [unpacked / f"usr/lib/xen-{series}/bin" / tool for tool in TOOLS]
    for tool in tools:
        _copy(tool, tree / "xen" / tool.name)
    for library in _libraries(tools, libraries):
        _copy(library, tree / LIBRARIES / library.name)
    _copy(_loader(libraries), tree / "lib64" / LOADER)
    _add_modules(unpacked, tree)
    _copy(Path("/bin/busybox"), tree / "bin/busybox")
    _copy(INIT, tree / "init")
    (tree / "init").chmod(0o755)
    (tree / "etc/xen").mkdir(parents=True)
    (tree / "etc/xen/xl.conf").write_text("autoballoon=0\n")


def _make(series: str, kernel: Path, initramfs: Path) -> None:
    unpacked, tree = (initramfs.with_name(name) for name in ("unpacked", "tree"))
    for directory in (unpacked, tree):
        shutil.rmtree(directory, ignore_errors=True)
    libraries = _unpack(series, unpacked)
    try:
        # Xen takes the ELF file as it is, and saves the time to unpack it.
        kernel.write_bytes(unpack.vmlinux(next(unpacked.glob("boot/vmlinuz-*")).read_bytes()))
    except unpack.UnpackError as error:
        raise BuildError(f"Debian's Linux {error}") from error
    _make_initramfs(series, unpacked, libraries, tree)
    packed = initramfs.with_name(f"initramfs.{os.getpid()}")
    packed.write_bytes(gzip.compress(cpio(tree), 6))
    packed.rename(initramfs)
    for directory in (unpacked, tree):
        shutil.rmtree(directory)


def make(xen: Xen | None = None) -> tuple[Path, Path]:
    """Build the dom0 of @xen, or of this machine's, unless it is there; its kernel and its initramfs."""
    series = xen.series if xen and xen.series else machines().series
    kernel, initramfs = (DIRECTORY / series / name for name in ("vmlinux", "initramfs.gz"))
    with locked(DIRECTORY.with_name(".dom0.lock")):
        if not initramfs.exists() or initramfs.stat().st_mtime <= max(p.stat().st_mtime for p in (INIT, Path(__file__))):
            _make(series, kernel, initramfs)
    return kernel, initramfs


@dataclass(frozen=True)
class Guest:
    """What xl starts: a domain for each seed, which differ in their command lines @words."""
    kernel: Path
    initrd: Path
    words: dict[int, str]
    memory: int  # MiB
    cpus: int


def payload(guest: Guest, scratch: Path) -> bytes:
    """What a run adds to the initramfs: the guest, its xl config, and a script for each domain."""
    tree = scratch / "payload/pteron"
    tree.mkdir(parents=True)
    _copy(guest.kernel, tree / "kernel.elf")
    _copy(guest.initrd, tree / "initrd.cpio")
    _copy(CONFIG, tree / "pteron.cfg")
    for seed, words in guest.words.items():
        overrides = ['kernel="/pteron/kernel.elf"', 'ramdisk="/pteron/initrd.cpio"',
                     f'cmdline="{words}"', f"memory={guest.memory}", f"vcpus={guest.cpus}"]
        (tree / f"run-{seed:06}").write_text(
            "exec xl create -q -F pteron.cfg " + shlex.join(overrides) + "\n")
    return gzip.compress(cpio(scratch / "payload"), 1)
