"""Builds without warnings, the static checks, and the host tests."""

import os
import subprocess

import pytest

from harness.catalogue import ROOT


def make(*args: str) -> str:
    done = subprocess.run(["make", *args], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("cc", ["gcc", "clang"])
@pytest.mark.parametrize("debug", [True, False], ids=["debug", "release"])
def test_builds_without_warnings(cc, debug, tmp_path):
    """-Werror is on; anything else that the tools say is unwanted too."""
    out = make(f"-j{os.cpu_count()}", f"CC={cc}", f"DEBUG={int(debug)}", f"BUILD={tmp_path}", "all")
    assert (tmp_path / "pteron.elf").exists() and (tmp_path / "initrd.cpio").exists()
    assert not [line for line in out.splitlines() if not line.startswith("make")], out


def test_cross_compile(tmp_path):
    """The prefix reaches compiler, linker and nm."""
    make("CROSS_COMPILE=x86_64-linux-gnu-", f"BUILD={tmp_path}", "all")
    assert (tmp_path / "pteron.elf").exists()


def test_nothing_to_do_twice(debug):
    assert "Nothing to be done" in make("all")


def test_check():
    out = make("check")
    assert "negative samples: 4 refused" in out


def test_host_units():
    out = make("host-test")
    assert "not ok" not in out and out.count("\nok ") + out.startswith("ok ") >= 13


def test_help_names_the_targets():
    out = make("help")
    for target in ("all", "check", "format", "host-test", "clean"):
        assert f"  {target} " in out


def test_nasm_dependencies_are_complete(debug):
    """NASM 2.16.01 leaves included files out of -MD; the separate pass must list them."""
    assert "boot/layout.inc" in (debug.directory / "boot/boot.asm.d").read_text()


def test_image_has_its_notes_and_segments(debug):
    out = subprocess.run(["readelf", "-nlW", debug.image], capture_output=True, text=True,
                         check=True).stdout
    loads = [line.split() for line in out.splitlines() if line.strip().startswith("LOAD")]
    rights = ["".join(words[6:-1]) for words in loads]
    assert rights == ["RE", "R", "RW"], "one segment for each right, and none writable and executable"
    assert "Xen" in out and "0x00000012" in out, "the PVH note (type 18), beside those of Xen PV"
