"""What a judged Linux boots with: its command line, and an initramfs that depends on the run and on nothing else.

A run that repeats itself must find the same bytes in memory; so the archive is made here, without times and inodes."""

import subprocess
from pathlib import Path

from ..build import Build
from . import suites

MEMORY = 512  # MiB, by default
ICOUNT = 3    # of a deterministic run: 8 ns for each instruction
# Of every Linux and of all on Xen. Without rdrand a kernel waits for entropy; with SMAP, QEMU 7.2 faults on an iretq in ring 3;
# its cmpxchg16b sometimes sets flags that it does not have, but without it a Linux on Xen is worse off (docs/findings).
CPU = "qemu64,+rdrand"
# Warnings are printed, and nothing less; an oops ends the machine, which is how a crash ends soon; the watchdog's NMI
# makes a kernel that hangs say where. The rest saves 10 of 28 virtual seconds of the boot: certificates, self-tests of
# random numbers, a search for pages that can be written and executed.
_WORDS = ("loglevel=5 printk.devkmsg=on printk.time=1 oops=panic panic=1 unknown_nmi_panic nokaslr mitigations=off "
          "tsc=reliable rdinit=/init rodata=off initcall_blacklist=load_system_certificate_list,jent_mod_init")
_FILE, _FOLDER = 0o100755, 0o040755


def words(on: str, append: str) -> str:
    """The kernel's command line."""
    console = "ttyS0" if on == "qemu" else "hvc0"
    return f"console={console} {_WORDS} {append}".strip()


def _entry(number: int, name: str, mode: int, data: bytes) -> bytes:
    """Of a cpio archive (cpio(5), newc)."""
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return header + bytes(-len(header) % 4) + data + bytes(-len(data) % 4)


def archive(files: dict[str, bytes]) -> bytes:
    """An initramfs of programs and of what else is in @files, by path."""
    folders = sorted({str(parent) for name in files for parent in Path(name).parents} - {"."})
    entries = [(folder, _FOLDER, b"") for folder in folders] + [(name, _FILE, files[name]) for name in sorted(files)]
    packed = [_entry(number, *entry) for number, entry in enumerate(entries, 1)]
    return b"".join([*packed, _entry(0, "TRAILER!!!", 0, b"")])


def _stripped(program: Path, scratch: Path) -> bytes:
    """Without what a debugger reads, which would name folders of this machine."""
    bare = scratch / f"{program.name}.stripped"
    subprocess.run(["strip", "-s", "-o", str(bare), str(program)], check=True)
    return bare.read_bytes()


def make_programs(build: Build) -> None:
    build.make("judge-programs")


def initramfs(config, scratch: Path) -> bytes:
    """Of the run @config: /init, the programs that its suites need, /job."""
    names = config.suite.split(",")
    files = {"init": _stripped(config.build.directory / "judge/init", scratch),
             "job": suites.job(names, config.seed, config.rounds, config.cpus).encode()}
    for program in suites.programs(names):
        place = config.build.directory / "judge" / program
        files[f"bin/{program}"] = _stripped(place if place.exists() else config.build.directory / "user" / program, scratch)
    return archive(files)
