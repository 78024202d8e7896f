"""Builds without warnings, the static checks, and the host tests."""

import argparse
import re
import subprocess

import pytest

from harness import cli, man
from harness.build import Build, BuildError
from harness.catalogue import ROOT


def make(*args: str) -> str:
    done = subprocess.run(["make", *args], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("cc", ["gcc", "clang"])
@pytest.mark.parametrize("debug", [True, False], ids=["debug", "release"])
def test_builds_without_warnings(cc, debug):
    """-Werror is on; anything else that the tools say is unwanted too. Other tests boot these builds, and share them."""
    build = Build(cc=cc, debug=debug)
    build.make()
    assert build.image.exists() and build.initrd.exists()
    assert not build.remarks.exists(), build.remarks.read_text()


def test_what_a_build_says_is_kept(tmp_path):
    (tmp_path / "Makefile").write_text("all:\n\t@mkdir -p build/gcc-debug && echo ld: a remark\n", encoding="utf-8")
    build = Build(root=tmp_path)
    build.make()
    assert build.remarks.read_text() == "ld: a remark\n"


def test_an_error_that_was_mended_is_not_kept(tmp_path):
    (tmp_path / "Makefile").write_text("all:\n\t@mkdir -p build/gcc-debug && echo an error && false\n", encoding="utf-8")
    build = Build(root=tmp_path)
    with pytest.raises(BuildError, match="an error"):
        build.make()
    assert not build.remarks.exists()


def test_cross_compile(tmp_path):
    """The prefix reaches compiler, linker and nm: each command that make would run for an image; and one object is made."""
    cross = ["CROSS_COMPILE=x86_64-linux-gnu-", f"BUILD={tmp_path}"]
    tools = re.findall(r"(?:^|[|&;] *)(\S*(?:gcc|cc|ld|nm|ar|objcopy)) ", make("-n", *cross, "all"), re.M)
    assert {"x86_64-linux-gnu-gcc", "x86_64-linux-gnu-ld", "x86_64-linux-gnu-nm"} == set(tools)
    make(*cross, f"{tmp_path}/kernel/debug/counters.c.o")
    assert (tmp_path / "kernel/debug/counters.c.o").exists()


def test_nothing_to_do_twice(debug):
    assert make("V=1", "all") == "", "no command is run but those that compare lists of files"


def test_check():
    out = make("check")
    assert "negative samples: 4 refused" in out


def test_tidy():
    out = make("tidy")
    if "skipped" in out:
        pytest.skip(out.strip())
    assert re.fullmatch(r"tidy: \d+ files\n", out)


def test_host_units():
    out = make("host-test")
    assert "not ok" not in out and out.count("\nok ") + out.startswith("ok ") >= 13


def test_manual_page():
    """Each command has its section, with each of its options."""
    make("man")
    page = re.sub(r"\\f[BIR]", "", (ROOT / "build/pteron.1").read_text(encoding="utf-8")).replace("\\-", "-")
    sections = dict(zip(*[iter(re.split(r'^\.SS "(?:\\&)?\./pteron (\w+):"$', page, flags=re.M)[1:])] * 2))
    parsers = man.commands(cli._parser())
    assert set(sections) == set(parsers) and {"run", "test", "new"} <= set(parsers)
    for name, parser in parsers.items():
        for option in (o for action in parser._actions if action.help != argparse.SUPPRESS
                       for o in action.option_strings if o not in ("-h", "--help")):
            assert re.search(rf"^{option}\b", sections[name], re.M), f"{name} {option}"


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
