"""Building the kernel and the images that GRUB boots."""

import fcntl
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .catalogue import ROOT
from .terminal import to_stderr


SIGN_OF_LIFE = 3  # seconds between two of a build


class BuildError(Exception):
    """make or grub-mkrescue failed; the text is its output."""


def run_checked(*command: str, cwd: Path | None = None) -> str:
    """The output of @command; BuildError with the end of what it said, if it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{shlex.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return done.stdout


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file @path, against other processes and threads; not twice in one thread. Who has to wait says
    for whom: the file holds the holder's process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            if holder != str(os.getpid()):  # else another thread of this one
                to_stderr(f"pteron: waiting for {f'process {holder}' if holder else 'another'}, which builds here too ({path.name})")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def check_compiler(cc: str) -> str:
    """@cc, a compiler by name or path and options for it, if there is one of that name; else BuildError says it."""
    words = shlex.split(cc)
    if not words or not shutil.which(words[0]):
        raise BuildError(f"there is no compiler {words[0] if words else cc!r}; "
                         f"there are: {' '.join(c for c in ('gcc', 'clang') if shutil.which(c)) or 'none'}")
    return cc


@dataclass(frozen=True)
class Build:
    """One configuration of the kernel."""
    cc: str = "gcc"
    debug: bool = True
    root: Path = ROOT  # of the sources
    coverage: bool = False  # a debug build that counts which lines run (kernel/debug/coverage.c)
    meter: bool = False  # a release build that counts what the hypervisor takes (kernel/debug/meter.h)

    @property
    def kind(self) -> str:
        return "meter" if self.meter else "coverage" if self.coverage else "debug" if self.debug else "release"

    @property
    def directory(self) -> Path:
        """One for each compiler, path and options included."""
        return self.root / "build" / f"{re.sub(r'[^A-Za-z0-9.+-]+', '_', self.cc).strip('_')}-{self.kind}"

    @property
    def image(self) -> Path:
        return self.directory / "pteron.elf"

    @property
    def initrd(self) -> Path:
        return self.directory / "initrd.cpio"

    @property
    def remarks(self) -> Path:
        """What compilers and linkers have said of what they made, in the directory's life; no file: nothing."""
        return self.directory / "remarks"

    @property
    def lock(self) -> Path:
        """Whoever makes something in the directory, or copies from it, holds it."""
        return self.directory.with_name(f".{self.directory.name}.lock")

    @property
    def musl(self) -> Path:
        """The programs of tests/user/musl, as files; beside them musl.cpio, which holds them."""
        return self.directory / "musl"

    def make(self, target: str = "all") -> None:
        """Bring image and boot module up to date, or @target of the Makefile."""
        env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "CC")}
        with locked(self.lock):
            done = self._run_make(
                ["make", f"-j{os.cpu_count()}", f"CC={self.cc}", f"DEBUG={int(self.debug)}", f"COVERAGE={int(self.coverage)}", f"METER={int(self.meter)}",
                 f"BUILD={self.directory.relative_to(self.root)}", target],
                env)
            if done.returncode == 0:
                self._keep(done.stdout + done.stderr)
        if done.returncode:
            raise BuildError(done.stdout + done.stderr)

    def _run_make(self, command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess:
        """make, with a sign of life every few seconds: how many objects it has made."""
        began, stamp = time.monotonic(), time.time()
        with tempfile.TemporaryFile("w+") as out, subprocess.Popen(
                command, cwd=self.root, env=env, stdout=out, stderr=subprocess.STDOUT) as make:
            while True:
                try:
                    make.wait(SIGN_OF_LIFE)
                    break
                except subprocess.TimeoutExpired:
                    made = sum(o.stat().st_mtime > stamp for o in self.directory.rglob("*.o") if o.exists())
                    to_stderr(f"pteron: building {self.directory.name}: {made} objects after {time.monotonic() - began:.0f} s")
                except BaseException:
                    make.kill()
                    raise
            out.seek(0)
            return subprocess.CompletedProcess(command, make.returncode, out.read(), "")

    def _keep(self, said: str) -> None:
        """Add to remarks what a build that succeeds says besides make's own words: nothing, if all is well."""
        remarks = [line + "\n" for line in said.splitlines() if not line.startswith("make")]
        if remarks and self.directory.is_dir():
            with self.remarks.open("a", encoding="utf-8") as file:
                file.writelines(remarks)


def _grub_config(cmdline: str) -> str:
    words = " ".join("'" + w.replace("'", "") + "'" for w in cmdline.split())
    return "\n".join([
        "echo 'Pteron: all output goes to the first serial port (COM1, 115200 baud, 8N1).'",
        'if [ "$grub_platform" = efi ]; then',
        "  echo 'On UEFI it has no text screen: look at the serial port for the verdict, too.'",
        "fi",
        "serial --unit=0 --speed=115200",
        "terminal_output serial",
        "set timeout=0",
        "menuentry 'Pteron' {",
        f"  multiboot2 /boot/pteron.elf {words}",
        "  module2 /boot/initrd.cpio",
        "}",
        ""])


def make_iso(build: Build, target: Path, cmdline: str, initrd: Path | None = None) -> None:
    """One hybrid image that boots on BIOS and on UEFI; @initrd: instead of the one that was built."""
    with tempfile.TemporaryDirectory(prefix="pteron-iso-") as staging:
        _fill_iso(build, Path(staging), target, cmdline, initrd or build.initrd)


def _fill_iso(build: Build, tree: Path, target: Path, cmdline: str, initrd: Path) -> None:
    (tree / "boot/grub").mkdir(parents=True)
    shutil.copy(build.image, tree / "boot/pteron.elf")
    subprocess.run(["strip", "-d", tree / "boot/pteron.elf"], check=False)
    shutil.copy(initrd, tree / "boot/initrd.cpio")
    (tree / "boot/grub/grub.cfg").write_text(_grub_config(cmdline))
    command = ["grub-mkrescue", "--locales=", "--fonts=", "--themes=", "-o", str(target), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")
