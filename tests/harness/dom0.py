"""A Linux dom0 with xl, small enough to boot in seconds, from Debian's packages; and Pteron in it.

Linux and Xen's tools are unpacked below build/dom0/, not installed: they are the virtual machine's,
not this machine's. Their libraries are this machine's (the front door installs them)."""

import gzip
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from .build import BuildError, locked, run_checked
from .catalogue import ROOT
from .judge import unpack

DIRECTORY = ROOT / "build/dom0"
CONFIG = ROOT / "boot/pteron.cfg"
INIT = Path(__file__).with_name("dom0_init.sh")
MODULES = ["xen-privcmd", "xen-evtchn", "xen-gntdev", "xen-gntalloc", "xenfs"]
TOOLS = ["xl", "xenstored", "xenconsoled", "xen-init-dom0", "xenperf"]
# libxenctrl opens it at run time, for threads that end.
EXTRA_LIBRARIES = ["libgcc_s.so.1"]


def _packages() -> list[str]:
    """Names of the packages to unpack; linux-image-amd64 only names the newest kernel."""
    depends = run_checked("apt-cache", "depends", "linux-image-amd64")
    kernel = re.search(r"Depends: (linux-image-\S+)", depends)
    if not kernel:
        raise BuildError("apt knows no linux-image-amd64; as root, run: apt-get update")
    return [kernel[1], "xen-utils-4.17"]


def _unpack(root: Path) -> None:
    debs = DIRECTORY / "debs"
    shutil.rmtree(debs, ignore_errors=True)
    debs.mkdir(parents=True)
    run_checked("apt-get", "download", "-q", *_packages(), cwd=debs)
    for deb in debs.glob("*.deb"):
        run_checked("dpkg", "-x", str(deb), str(root))
    shutil.rmtree(debs)


def _libraries(programs: list[Path]) -> set[Path]:
    """The shared libraries of @programs, as this machine's loader finds them."""
    found = set()
    for program in programs:
        for line in run_checked("ldd", str(program)).splitlines():
            if "not found" in line:
                raise BuildError(f"{program.name}: {line.strip()}")
            path = re.search(r"(/\S+) \(0x", line)
            if path:
                found.add(Path(path[1]))
    return found


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def cpio(directory: Path) -> bytes:
    """The files below @directory in the format of an initramfs."""
    names = sorted(str(p.relative_to(directory)) for p in directory.rglob("*"))
    done = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"], cwd=directory,
                          input="\n".join(names).encode(), capture_output=True, check=True)
    return done.stdout


def _make_initramfs(unpacked: Path, tree: Path) -> None:
    tools = [unpacked / "usr/lib/xen-4.17/bin" / tool for tool in TOOLS]
    for tool in tools:
        _copy(tool, tree / "xen" / tool.name)
    libraries = _libraries(tools)
    libraries |= {p.parent / name for p in libraries if p.name == "libc.so.6" for name in EXTRA_LIBRARIES}
    for library in libraries:
        _copy(library, tree / str(library)[1:])
    for number, module in enumerate(MODULES):
        file = next(unpacked.rglob(f"{module}.ko"))
        _copy(file, tree / f"modules/{number}-{module}.ko")
    _copy(Path("/bin/busybox"), tree / "bin/busybox")
    _copy(INIT, tree / "init")
    (tree / "init").chmod(0o755)
    (tree / "etc/xen").mkdir(parents=True)
    (tree / "etc/xen/xl.conf").write_text("autoballoon=0\n")


def _make(kernel: Path, initramfs: Path) -> None:
    unpacked, tree = DIRECTORY / "unpacked", DIRECTORY / "tree"
    for directory in (unpacked, tree):
        shutil.rmtree(directory, ignore_errors=True)
    _unpack(unpacked)
    try:
        # Xen takes the ELF file as it is, and saves the time to unpack it.
        kernel.write_bytes(unpack.vmlinux(next(unpacked.glob("boot/vmlinuz-*")).read_bytes()))
    except unpack.UnpackError as error:
        raise BuildError(f"Debian's Linux {error}") from error
    _make_initramfs(unpacked, tree)
    packed = DIRECTORY / f"initramfs.{os.getpid()}"
    packed.write_bytes(gzip.compress(cpio(tree), 6))
    packed.rename(initramfs)
    for directory in (unpacked, tree):
        shutil.rmtree(directory)


def make() -> tuple[Path, Path]:
    """Build the dom0, unless it is there; its kernel and its initramfs."""
    kernel, initramfs = DIRECTORY / "vmlinux", DIRECTORY / "initramfs.gz"
    with locked(DIRECTORY.with_name(".dom0.lock")):
        if not initramfs.exists() or initramfs.stat().st_mtime <= max(p.stat().st_mtime for p in (INIT, Path(__file__))):
            _make(kernel, initramfs)
    return kernel, initramfs


def payload(config, scratch: Path) -> bytes:
    """What this run adds to the initramfs: Pteron, its xl config, and a script for each domain."""
    tree = scratch / "payload/pteron"
    tree.mkdir(parents=True)
    _copy(config.build.image, tree / "pteron.elf")
    _copy(config.initrd or config.build.initrd, tree / "initrd.cpio")
    _copy(CONFIG, tree / "pteron.cfg")
    for seed in config.seeds or [config.seed]:
        overrides = ['kernel="/pteron/pteron.elf"', 'ramdisk="/pteron/initrd.cpio"',
                     f'cmdline="{replace(config, seed=seed).cmdline()}"', f"memory={config.mem}",
                     f"vcpus={config.cpus}"]
        (tree / f"run-{seed:06}").write_text(
            "exec xl create -q -F pteron.cfg " + shlex.join(overrides) + "\n")
    return gzip.compress(cpio(scratch / "payload"), 1)
