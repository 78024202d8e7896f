"""The first hour of a new user: the commands of README.md and of ./pteron alone, typed literally at a terminal of 80 columns.

Never is it silent for more than 5 seconds, nothing is wider than the terminal but what is there to be copied, and whoever
mistypes is told what to do. tmux is the terminal; the session's folder has a link to ./pteron, so that nothing is left in
the tree."""

import re
import shlex
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from harness.catalogue import ROOT
from harness.cli import FIRST_STEPS

COLUMNS, ROWS = 80, 24
SILENCE = 5.0  # seconds
PROMPT = re.compile(r"user (\d+)> $")
ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])")
COPIED = re.compile(r"(# )?(replay|log|again|or look inside): ")  # whole, so that it can be copied
DOCUMENTS = (ROOT / "README.md").read_text(encoding="utf-8") + FIRST_STEPS
PROGRAM = '#include <stdio.h>\nint main(int argc, char **argv) { printf("%d %s\\n", argc, argv[1]); return 0; }\n'


class Answer:
    """What one command said: its text, its status, and for how long it said nothing."""

    def __init__(self, text: str, status: int, silence: float):
        self.text, self.status, self.silence = text, status, silence

    def wide(self) -> list[str]:
        """The lines that do not fit; a line that is written over counts each time."""
        parts = [part for line in self.text.split("\n") for part in line.split("\r")]
        return [part for part in parts if len(part) > COLUMNS and not COPIED.match(part)]


class Session:
    """A shell in a terminal."""

    def __init__(self, folder):
        self.socket, self.log = folder / "tmux", folder / "screen"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), "-c", str(folder / "home"),
                  "env", f"PTERON_RUNS={folder}/runs", "PS1=user $?> ", "bash", "--norc", "--noprofile")
        self.tmux("pipe-pane", f"cat >> {shlex.quote(str(self.log))}")
        self.type("")

    def tmux(self, *args: str) -> None:
        subprocess.run(["tmux", "-S", str(self.socket), *args], check=True, timeout=20)

    def close(self) -> None:
        subprocess.run(["tmux", "-S", str(self.socket), "kill-server"], check=False, timeout=20)

    def text(self, start: int) -> str:
        return ESCAPE.sub("", self.log.read_bytes()[start:].decode(errors="replace")) if self.log.exists() else ""

    def type(self, line: str, interrupt_at: str = "") -> Answer:
        """Type @line and follow it to the next prompt; Ctrl-C when what @interrupt_at fits has been said."""
        start = self.log.stat().st_size if self.log.exists() else 0
        if line:
            self.tmux("send-keys", "-l", line)
        self.tmux("send-keys", "Enter")
        began = last = time.monotonic()
        size, silence = 0, 0.0
        while not (end := PROMPT.search(text := self.text(start))) or (line and "\n" not in text):
            now = time.monotonic()
            assert now - began < 300, text
            if len(text) != size:
                size, last = len(text), now
            silence = max(silence, now - last)
            if interrupt_at and re.search(interrupt_at, text, re.M):
                self.tmux("send-keys", "C-c")
                interrupt_at = ""
            time.sleep(0.05)
        return Answer(text.partition("\n")[2][:-len(end[0])], int(end[1]), silence)


@pytest.fixture(scope="module")
def session(debug):  # pylint: disable=unused-argument  # built before it is asked for
    folder = Path(tempfile.mkdtemp(prefix="pteron-hour-"))  # a short path: a name of a file is not folded
    (folder / "home").mkdir()
    (folder / "home/pteron").symlink_to(ROOT / "pteron")
    (folder / "home/prog.c").write_text(PROGRAM)
    one = Session(folder)
    yield one
    one.close()
    shutil.rmtree(folder)


# What is typed, what it ends with, and what it says; the third: when the user presses Ctrl-C.
LITERALLY = [
    ("./pteron", 2, ["./pteron run "], ""),
    ("./pteron list", 0, ["suite    zap"], ""),
    ("./pteron run --help", 0, ["--suite CHOICE"], ""),
    ("./pteron --help", 0, ["exit status: 0 passed"], ""),
    ("./pteron run", 125, ["interrupted; the table has what ran so far", "replay: ./pteron run"], r"silent for 7 s|^ok 12 "),
    ("./pteron run --on xen --cpus 4", 125, ["interrupted"], "^ok 2 "),
    ("./pteron run --suite zap --bug flush-only-here", 3, ["why: panic in suite zap", "CRASHED", "log: "], ""),
    ("./pteron replay", 3, ["why: panic in suite zap"], ""),
    ("./pteron trace --suite zap --cpus 4", 0, ["build/trace.json"], ""),
    ("mkdir -p root/bin && musl-gcc -static -O2 prog.c -o root/bin/prog", 0, [], ""),
    ("(cd root && find . | cpio -o -H newc) > prog.cpio", 0, [], ""),
    ("./pteron run --cpus 4 --backend shadow --initrd prog.cpio -- /bin/prog arguments...", 0, ["2 arguments...", "PASSED"], ""),
]


@pytest.mark.parametrize("line, status, says, interrupt_at", LITERALLY, ids=[line for line, *_ in LITERALLY])
def test_literally(session, line, status, says, interrupt_at):
    assert line == "./pteron replay" or line in DOCUMENTS, "it is what the documents say"
    answer = session.type(line, interrupt_at)
    assert answer.status == status, answer.text
    assert all(words in answer.text for words in says), answer.text
    assert not answer.wide()
    assert answer.silence < SILENCE, f"silent for {answer.silence:.1f} s:\n{answer.text}"


@pytest.mark.parametrize("line, hint", [
    ("./pteron rnu", "did you mean run"),
    ("./pteron run --siute zap", "did you mean --suite"),
    ("./pteron run --suite zapp", "did you mean zap"),
    ("./pteron run --bug flush-only", "did you mean flush-only-here"),
    ("./pteron run --cpus 0", "between 1 and"),
    ("./pteron run --wrong", "did you mean"),
    ("./pteron run --initrd nothing.cpio -- /bin/prog", "nothing.cpio"),
    ("./pteron run --json /nowhere/r.json", "/nowhere/r.json"),
    ("./pteron replay nothing.log", "one says ./pteron run"),
    ("./pteron new suite zap --room mm/nowhere", "--help explains"),
])
def test_mistyped(session, line, hint):
    """In one message that fits; and at once."""
    answer = session.type(line)
    assert answer.status == 2 and hint in " ".join(answer.text.split()), answer.text
    assert not answer.wide() and answer.silence < SILENCE
