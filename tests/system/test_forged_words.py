"""What a program prints is never taken for the kernel's word, and comes out as it went in."""

import io
import subprocess

import pytest

from harness import ktap, replay, trace_lines
from harness.catalogue import ROOT
from harness.ktap import Output
from harness.machine import Config
from harness.report import Printer
from harness.terminal import Terminal

WAYS = [("qemu", "native", "0"), ("qemu", "native", "killed"), ("qemu", "shadow", "3"), ("xen", "xen", "3")]
THREADS_LINES = 40


@pytest.fixture(scope="module")
def words(debug):
    debug.make("musl")
    return debug.musl


@pytest.mark.parametrize("on, backend, status", WAYS)
def test_a_program_that_prints_the_kernels_words(boot, words, on, backend, status):
    linux = subprocess.run(["./bin/words", status], cwd=words, env={}, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, check=False)
    assert linux.returncode == {"0": 0, "3": 3, "killed": -11}[status]
    result = boot(on=on, backend=backend, initrd=words.with_name("musl.cpio"), program=("./bin/words", status))
    out = result.output
    assert result.verdict == ("passed" if status == "0" else "failed")
    assert out.program_end == ("was ended by signal 11" if status == "killed" else f"exited with status {status}")
    assert not out.suites and out.planned == -1 and not out.panicked
    assert "forged" not in out.counters and 0 < out.counters["page_faults"] < 1_000_000
    assert "987654321" not in out.histogram and out.lock_order != "0123456789abcdef"
    assert not trace_lines.parse(out.kernel_lines).events and not [line for line in out.kernel_lines if "forged" in line]
    assert any(line.startswith("# task ./bin/words") and "killed by signal 11" in line for line in out.kernel_lines)
    linux_lines, lines = (_ordered(text) for text in (linux.stdout.decode().split("\n"), out.program_lines))
    assert lines == linux_lines and lines[-1] == "# verdict passed"


def _ordered(lines: list[str]) -> list[str]:
    """The order of two threads' lines is left open."""
    return [*lines[:-THREADS_LINES - 1], *sorted(lines[-THREADS_LINES - 1:-1]), lines[-1]]


@pytest.mark.parametrize("name", ["\n# panic: x\n", "panic: x", "verdict passed\x1b[2K", "counter a 5"])
def test_a_name_is_not_the_kernels_word(boot, words, name):
    """Of a task, which the kernel prints in its own lines."""
    result = boot(initrd=words / "bin/words", program=(name, "killed"))
    assert result.verdict == "failed" and not result.output.panicked and "a" not in result.output.counters
    shown = "".join("?" if c < " " else c for c in name)
    assert sum(line.startswith(f"# task {shown}"[:22]) for line in result.output.kernel_lines) == 2
    assert f"# init: {shown} was ended by signal 11" in result.output.kernel_lines


def test_the_words_of_a_stress_program_are_still_seen():
    out = Output()
    for line in ("|     # FAIL mix pid 3 tid 4: found it", "# panic: because", "| # progress mix 3/20"):
        out.feed(line)
    assert out.panicked and out.progress == "mix 3/20"
    assert not out.suites and out.lines[0] == "    # FAIL mix pid 3 tid 4: found it"


def test_parts_are_joined():
    out = Output()
    raw = [ktap.decode(line) for line in (b"|+a\xc3", b"# kernel\r", b"|+\xa9b", b"| c", b"| ", b"|+end", b"# last")]
    for line in raw:
        out.feed(line)
    assert out.lines == ["aébc", "# kernel", "", "end", "# last"]
    assert out.program_lines == ["aébc", "", "end"] and out.kernel_lines == ["# kernel", "# last"]
    printer = Printer(suites=False, terminal=Terminal(stream=(text := io.StringIO())))
    for line in raw:
        printer.line(line, out)
    printer.close()
    assert text.getvalue() == "a\n# kernel\nébc\n\nend\n# last\n"


def test_bytes_that_are_no_text_can_be_printed():
    out = Output()
    for line in (b"| \xff\x00x", b"\xfe GRUB"):
        out.feed(ktap.decode(line))
    "\n".join(out.lines).encode("utf-8")
    assert out.program_lines == ["\ufffd\x00x"] and out.kernel_lines == ["\ufffd GRUB"]


def test_the_front_door_prints_it_plain(words):
    done = subprocess.run(["./pteron", "run", "--accel", "tcg", "--initrd", words.with_name("musl.cpio"), "--", "/bin/hello", "x"],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nargument 1: [x]\n" in done.stdout and "\n| " not in done.stdout


def test_a_forged_replay_line(tmp_path):
    """The front door's own is the last; in a log of the console, it is the kernel's."""
    log, real = tmp_path / "log", Config(seed=5).replay()
    log.write_text(f"replay: ./pteron run --seed 666\n# replay: ./pteron run --seed 666\nFAILED\nreplay: {real}\n")
    assert replay.find("log", log) == real
    log.write_text(f"| # replay: ./pteron run --seed 666\n|+./pteron run --seed 666\n# replay: {real}\n")
    assert replay.find("log", log) == real
