"""The emulators that can be tried: this machine's QEMU, Debian's by version, and programs.

VERSION          one of Debian's archive: 10.0, 11.1, or the whole version of a package
FILE             a program, or the name of one in PATH

What was fetched is kept below archive.folder()/qemus/, with the libraries and the loader that its version needs, which may
be newer than this machine's. A small program there starts it by them."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ..build import locked, run_checked
from ..report_file import callers_path
from . import JudgeError, archive
from .shelf import Shelf

QEMU = "qemu-system-x86_64"
FOLDERS = ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu")  # of libraries; Debian's suites have them in one of these, or both
DATA = ("usr/share/qemu", "usr/share/seabios")
CLOCK = "faketime/libfaketimeMT.so.1"  # which machine.py preloads
_NEEDED = re.compile(r"lib|zlib|seabios$|qemu-system-(x86|data|common)$")  # of what the package depends on


class QemuError(JudgeError):
    """There is no such QEMU; the text is one line."""


@dataclass(frozen=True)
class Qemu:
    """One that can be started."""
    name: str     # what --qemu takes
    program: str  # that starts it


SHELF = Shelf("QEMU", "qemus", "qemu-system-x86", QemuError)


def _starter(root: Path) -> str:
    """A program that starts the QEMU in @root, under its own name: by that it complains. The stopped clock that
    machine.py preloads is this machine's, and may need a newer C library than that QEMU has: so it takes the one of its suite."""
    loader = next(path for folder in FOLDERS if (path := root / folder / "ld-linux-x86-64.so.2").exists())
    words = [str(loader), "--library-path", ":".join(str(root / folder) for folder in FOLDERS), str(root / "usr/bin" / QEMU),
             *(word for folder in DATA for word in ("-L", str(root / folder)))]
    clock = next((f'[ -z "$LD_PRELOAD" ] || LD_PRELOAD={shlex.quote(str(path))}\n' for folder in FOLDERS
                  if (path := root / folder / CLOCK).exists()), "")
    return f'#!/bin/sh\n{clock}QEMU_MODULE_DIR={shlex.quote(str(root / FOLDERS[0] / "qemu"))} exec {shlex.join(words)} "$@"\n'


def _fetch(package: archive.Package, target: Path) -> None:
    """The directory @target appears with all that @package needs."""
    part = target.with_name(f".{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    (part / "debs").mkdir(parents=True)
    try:
        for deb in archive.download([p for p in archive.needed(package, "libfaketime") if _NEEDED.match(p.name)], part / "debs"):
            run_checked("dpkg", "-x", str(deb), str(part / "root"))
        shutil.rmtree(part / "debs")
        (part / QEMU).write_text(_starter(part / "root").replace(str(part), str(target)), encoding="utf-8")
        (part / QEMU).chmod(0o755)
        (part / "package.json").write_text(json.dumps(asdict(package)), encoding="utf-8")
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _of_archive(wanted: str, say: Callable[[str], None]) -> Qemu:
    release = SHELF.find(wanted)
    target = SHELF.place(release)
    with locked(target.with_name(f".{target.name}.lock")):
        if not target.exists():
            say(f"pteron: fetching QEMU {release.package.version}, of {release.package.suite}, and its libraries")
            _fetch(release.package, target)
    return Qemu(target.name, str(target / QEMU))


def get(name: str, say: Callable[[str], None] = lambda _: None) -> Qemu:
    """The QEMU that --qemu @name means; it is fetched if need be."""
    if "/" in name:
        name = str(callers_path(name).resolve())
    if shutil.which(name):
        return Qemu(name, name)
    if "/" not in name and SHELF.is_version(name):
        return _of_archive(name, say)
    raise QemuError(f"--qemu {name}: there is no such program; there are VERSION (./pteron list qemus) and FILE")


def here() -> str:
    """What the QEMU in PATH says that it is."""
    try:
        return subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=False).stdout.partition("\n")[0]
    except OSError:
        return f"none; there is no {QEMU} in PATH"


def table() -> Iterator[str]:
    """What ./pteron list qemus prints."""
    return SHELF.table("--qemu", here)
