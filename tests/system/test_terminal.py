"""What a person at a terminal sees of a run: its width, its colours, how long it will take, and that it ends in time."""

import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import time

import pytest

from harness.build import locked
from harness.catalogue import ROOT
from harness.forecast import Forecast, in_words
from harness.ktap import Output, SuiteResult
from harness.report import Printer
from harness.terminal import Terminal

FAST = ["--suite", "vma,pgtable", "--accel", "tcg", "--mem", "128"]
ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def pteron(*args, **environment):
    return subprocess.run(["./pteron", *args], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
                          env={**os.environ, **environment})


def on_a_terminal(columns, *args, **environment):
    """What ./pteron writes to a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS")}
    with subprocess.Popen(["./pteron", *args], cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs,
                          env={**env, "TERM": "xterm", **environment}):
        os.close(theirs)
        said = b""
        try:
            while data := os.read(ours, 65536):
                said += data
        except OSError:
            pass  # the last writer has gone
    os.close(ours)
    return said.decode(errors="replace")


class FakeTerminal(io.StringIO):
    """Of 40 columns, for who asks the environment."""

    def isatty(self):
        return True


def output_at(*suites, planned=3):
    output = Output(planned=planned)
    for name, ok, ago in suites:
        output.suites.append(SuiteResult(name, ok=ok, began=time.monotonic() - ago))
    return output


def test_forecast():
    """What is left of the last durations; of a suite that takes longer than it did, nothing."""
    forecast = Forecast({"a": 10.0, "b": 20.0, "c": 30.0})
    assert forecast.left(output_at()) == 60
    assert forecast.left(output_at(("a", True, 4), ("b", None, 5))) == pytest.approx(45, abs=1)
    assert forecast.left(output_at(("a", True, 4), ("b", None, 50))) == pytest.approx(30, abs=1)
    assert forecast.left(output_at(("other", None, 1))) is None and Forecast(None).left(output_at()) is None
    assert forecast.text(output_at(("a", True, 4), ("b", None, 5))) == ", about 45 s left"


@pytest.mark.parametrize("seconds, words", [(1, "5 s"), (42, "40 s"), (94, "95 s"), (100, "2 min"), (1000, "17 min")])
def test_rounded(seconds, words):
    assert in_words(seconds) == words


def test_a_second_run_is_foretold(tmp_path):
    own = {"PTERON_RUNS": str(tmp_path)}
    assert "the last such run" not in pteron("run", *FAST, **own).stderr
    assert "the last such run took 5 s" in pteron("run", *FAST, "--seed", "2", **own).stderr
    assert "the last such run" not in pteron("run", *FAST, "--release", **own).stderr


def test_the_whole_is_summed_up(tmp_path):
    rows = pteron("run", *FAST, PTERON_RUNS=str(tmp_path)).stdout.splitlines()
    whole = next(row.split() for row in rows if row.startswith("all, and the boot"))
    suites = [row.split() for row in rows if row.startswith(("vma ", "pgtable "))]
    assert int(whole[4]) == sum(int(s[2]) for s in suites) and float(whole[-1]) > sum(float(s[-1]) for s in suites)


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_the_status_line_fits(monkeypatch, columns):
    """Neither progress nor silence is wider than the terminal."""
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = FakeTerminal()
    printer = Printer(terminal=Terminal(stream=stream), forecast=Forecast({"a-suite-of-a-long-name": 500.0}))
    output = output_at(("a-suite-of-a-long-name", None, 1))
    output.progress = "a-suite-of-a-long-name 70/150"
    printer.line("| # progress a-suite-of-a-long-name 70/150", output)
    printer.about = "suite a-suite-of-a-long-name, 1 of 100"
    printer.quiet(7)
    shown = [ESCAPE.sub("", part) for part in stream.getvalue().split("\r") if part]
    assert len(shown) == 2 and all(len(line) < columns for line in shown), shown
    if columns == 80:
        assert "46 %, about 8 min left" in shown[0] and "silent for 7 s" in shown[1]


def test_a_long_trace_shows_that_it_comes(monkeypatch):
    """Its lines are not printed, and there are thousands."""
    monkeypatch.setenv("COLUMNS", "80")
    stream = FakeTerminal()
    printer = Printer(terminal=Terminal(stream=stream))
    for _ in range(250):
        printer.line("# trace 0 1 2", Output())
    printer.line("ok 1 zap", Output())
    assert ESCAPE.sub("", stream.getvalue()).split("\r")[1:] == [
        f"  reading what the kernel has recorded: {n} lines" for n in (100, 200)] + ["ok 1 zap\n"]


def test_lines_are_folded_at_blanks(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal(stream=FakeTerminal())
    assert terminal.fitted("  why: " + "word " * 11 + "word") == ["  why:" + " word" * 6, "      " + " ".join(["word"] * 6)]
    assert terminal.fitted("replay: " + "word " * 12) == ["replay: " + "word " * 12]
    assert Terminal(stream=io.StringIO()).fitted("word " * 12) == ["word " * 12]


def test_nothing_is_wider_than_the_terminal(tmp_path):
    said = ESCAPE.sub("", on_a_terminal(60, "run", *FAST, PTERON_RUNS=str(tmp_path)))
    wide = [line for line in said.replace("\r", "\n").splitlines() if len(line) > 60]
    assert "PASSED" in said and not wide


def test_who_waits_for_a_build_says_so_in_lines_that_fit(tmp_path, monkeypatch):
    path, said = tmp_path / ".gcc-debug.lock", FakeTerminal()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr("sys.stderr", said)

    def take():
        with locked(path):
            pass

    waiter = threading.Thread(target=take)
    with path.open("w", encoding="ascii") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.write("1234567")
        held.flush()
        waiter.start()
        for _ in range(1000):
            if "(.gcc-debug.lock)" in said.getvalue():
                break
            time.sleep(0.01)
    waiter.join(10)
    assert said.getvalue() == "pteron: waiting for process 1234567,\n    which builds here too\n    (.gcc-debug.lock)\n"


@pytest.mark.parametrize("args, environment, coloured", [
    ([], {}, True), ([], {"NO_COLOR": "1"}, False), ([], {"TERM": "dumb"}, False),
    (["--color", "never"], {}, False), (["--color", "always"], {"NO_COLOR": "1"}, True),
])
def test_colour_on_a_terminal(tmp_path, args, environment, coloured):
    said = on_a_terminal(80, "run", *FAST, *args, PTERON_RUNS=str(tmp_path), **environment)
    assert ("\x1b[32mPASSED\x1b[0m" in said) == coloured and ("\x1b[32mok\x1b[0m 1 " in said) == coloured


@pytest.mark.parametrize("args, coloured", [([], False), (["--color", "always"], True)])
def test_colour_in_a_pipe(tmp_path, args, coloured):
    assert ("\x1b[" in pteron("run", *FAST, *args, PTERON_RUNS=str(tmp_path)).stdout) == coloured


def test_many_runs_say_how_far_they_are(tmp_path):
    """On a line of their own; it is gone when the next result comes, and no result has a part of it."""
    said = on_a_terminal(60, "run", "--suite", "zap", "--accel", "tcg", "--deterministic", "--seeds", "2", PTERON_RUNS=str(tmp_path))
    assert "  0 of 2 runs" in said and re.search(r"  1 of 2 runs, about \d+ s left", said)
    lines = ESCAPE.sub("", said).replace("\r", "\n").splitlines()
    assert any(line.startswith("seed 2: passed") for line in lines) and max(map(len, lines)) <= 60, lines


def test_timeout(tmp_path):
    """However much it says; with what it was at, where its CPUs are, and the line that repeats it."""
    report = tmp_path / "r.json"
    began = time.monotonic()
    done = pteron("run", "--suite", "zap", "--rounds", "1000000", "--accel", "tcg", "--timeout", "4", "--json", str(report),
                  PTERON_RUNS=str(tmp_path))
    assert done.returncode == 3 and time.monotonic() - began < 60
    assert "pteron: timeout: not done after the 4 s of --timeout" in done.stdout
    assert "why: out of time in suite zap, 1 of 1" in done.stdout
    where = next(line for line in done.stdout.splitlines() if line.startswith("timeout: "))
    assert re.fullmatch(r"timeout: CPU 0 {0}, CPU 1 {0}".format(r"(in \S+\+0x[0-9a-f]+|at [0-9a-f]{16}, in a program)"), where)
    assert re.search(r"^replay: \./pteron run .*--timeout 4$", done.stdout, re.M)
    got = json.loads(report.read_text())
    assert got["verdict"] == "timeout" and got["suites"][0]["seconds"] > 1
