"""The image that a PC boots: what is on it, and what its screen and its serial port say."""

import subprocess
import time

import pytest

from harness import catalogue
from harness.catalogue import ROOT
from harness.machine import Config, drop_scratch, make_scratch, qemu_command
from harness.runner import _Qmp

CELLS, COLUMNS, ROWS = 0xb8000, 80, 25
END = "# the machine can be switched off now"  # what a PC without QEMU's exit device comes to
EXIT_DEVICE = "isa-debug-exit,iobase=0xf4,iosize=4"


def pteron(*args):
    return subprocess.run(["./pteron", *args], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture
def image(tmp_path):
    def make(words: str):
        target = tmp_path / "p.iso"
        done = pteron("iso", "--output", str(target), "--append", words)
        assert done.returncode == 0, done.stderr
        return target
    return make


def machine(image, scratch, boot, card):
    """A PC: QEMU without its exit device, so that the screen stays as the kernel left it."""
    command = qemu_command(Config(boot=boot, iso=image, cpus=1, mem=128), scratch, ["-vga", card])
    at = command.index(EXIT_DEVICE)
    return command[:at - 1] + command[at + 1:]


def screen_of(scratch):
    """The rows of the screen, and the colour in which each begins."""
    _Qmp(scratch / "qmp").command("pmemsave", val=CELLS, size=2 * COLUMNS * ROWS, filename=str(scratch / "cells"))
    cells = (scratch / "cells").read_bytes()
    rows = [cells[2 * COLUMNS * y:2 * COLUMNS * (y + 1)] for y in range(ROWS)]
    return [(row[::2].decode("latin-1").rstrip(), row[1]) for row in rows]


def booted(image, boot="bios", card="std"):
    """What is on the screen, and on the serial port, of a machine that has come to its end."""
    scratch = make_scratch()
    try:
        with (scratch / "console").open("wb") as console, subprocess.Popen(
                machine(image, scratch, boot, card), stdin=subprocess.DEVNULL, stdout=console, stderr=subprocess.STDOUT) as qemu:
            try:
                end = time.monotonic() + 120
                while END not in (text := (scratch / "console").read_text(errors="replace")):
                    assert qemu.poll() is None and time.monotonic() < end, text
                    time.sleep(0.1)
                return screen_of(scratch), text
            finally:
                qemu.kill()
    finally:
        drop_scratch(scratch)


def test_what_is_on_it(image):
    listing = subprocess.run(["xorriso", "-indev", str(image("")), "-find", "/"], capture_output=True, text=True, check=True).stdout
    assert "/boot/pteron.elf" in listing and "/efi.img" in listing


def test_the_screen_has_the_verdict(image):
    """Where the output is, the suites, and the verdict in green; and nothing of what is only for the serial port."""
    screen, _ = booted(image("suite=vma,pgtable"))
    rows = [text for text, _ in screen]
    assert "first serial port (COM1, 115200 baud, 8N1)" in rows[1], rows
    assert rows[4].startswith("# pteron ") and rows[5:8] == ["ok 1 pgtable", "ok 2 vma", "# verdict passed"], rows
    assert screen[-1] == ("verdict passed", 0x0a) and not any(rows[8:-1])


def test_many_lines_scroll(image):
    """More suites than rows: the last are there, below what was said first."""
    screen, console = booted(image(f"suite={catalogue.unit_suites()}"))
    rows = [text for text, _ in screen]
    ended = [line for line in console.splitlines() if line.startswith(("ok ", "not ok "))]
    assert rows[1].startswith("All output") and rows[23] == "# verdict passed" and rows[22] == ended[-1], rows


def test_a_panic_is_red(image):
    screen, _ = booted(image("panic=null_read"))
    assert any(text.startswith("# panic: ") and colour == 0x0c for text, colour in screen), screen
    assert screen[-1] == ("verdict crashed", 0x0c)


@pytest.mark.parametrize("boot, card, says", [
    ("bios", "none", "# screen: none that the loader knows of: suites and verdict are on the serial port only"),
    ("uefi", "std", "# screen: none that the loader knows of: suites and verdict are on the serial port only"),
])
def test_no_text_screen(image, boot, card, says):
    _, console = booted(image("suite=vma"), boot, card)
    assert says in console and "# verdict passed" in console
    if boot == "uefi":
        assert "On UEFI it has no text screen" in console


def test_run_judges(image):
    done = pteron("iso", "--run", "--append", "suite=vma seed=3")
    assert done.returncode == 0 and "boot bios, tcg, debug build, seed 3: PASSED" in done.stdout, done.stdout
    done = pteron("iso", "--run", "--append", "suite=vma panic=null_read")
    assert done.returncode == 3 and "again: ./pteron iso --run --append 'suite=vma panic=null_read'" in done.stdout


def test_firmware_is_of_run():
    done = pteron("iso", "--boot", "uefi")
    assert done.returncode == 2 and "--run" in done.stderr
