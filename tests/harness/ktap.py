"""Reading the console: the kernel's KTAP, counters and verdict line, and what programs print.

A line that begins with a mark is a program's (kernel/debug/printk.c); everything else is the kernel's word, or
that of Xen and the firmware. Nothing here looks for the former in the latter or the other way round."""

import codecs
import re
import time
from dataclasses import dataclass, field

# Behind it a line of a program; or a part of one, whose line goes on in the next.
LINE_MARK, PART_MARK = "| ", "|+"
# The programs of the suites say how far they are; what else says so only shows on the status line.
PROGRESS = "# progress "

# What the kernel says where nothing ends the machine. QEMU 10 ends it a little after the kernel has asked for it: how much of
# this there is depends on the host.
LAST_WORDS = "# the machine can be switched off now"

_RESULT = re.compile(r"^(not )?ok (\d+) (\S+)(.*)$")
_PROGRAM_END = re.compile(r"^# init: .* (exited with status \d+|was ended by signal \d+)$")
_TASK = re.compile(r"^# (task \d+ .*): blocked")
_CASE = re.compile(r"^    (not )?ok (\d+) (\S+)(.*)$")


@dataclass
class CaseResult:
    """One case, and what was said in it: complaints, or why it was skipped."""
    name: str
    verdict: str  # passed, failed, skipped
    message: str = ""


@dataclass
class SuiteResult:
    """One suite: how many of its cases passed, failed and were skipped."""
    name: str
    planned: int = -1
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    ok: bool | None = None
    notes: list[str] = field(default_factory=list)
    cases: list["CaseResult"] = field(default_factory=list)
    began: float = 0.0  # time.monotonic()
    seconds: float = 0.0  # from its first line to its verdict, or to the last that came

    @property
    def complete(self) -> bool:
        return self.ok is not None and self.passed + self.failed + self.skipped == self.planned

    @property
    def verdict(self) -> str:
        if not self.complete:
            return "incomplete"
        return "passed" if self.ok and not self.failed else "failed"


def decode(line: bytes, returns: int = 1) -> str:
    """A line of the console as it came, but for up to @returns carriage returns at its end, which terminals
    on its way have added; bytes that are no UTF-8 survive in it."""
    for _ in range(returns):
        line = line.removesuffix(b"\r")
    return line.decode("utf-8", "surrogateescape")


def _bytes(raw: str) -> bytes:
    return raw.encode("utf-8", "surrogateescape")


class ProgramText:
    """The text of the programs, out of the console's marked lines. A character may lie in two parts."""

    def __init__(self) -> None:
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def take(self, raw: str) -> tuple[str, bool] | None:
        """What the line @raw adds, and whether that ends the program's line; None: it is the kernel's."""
        if not raw.startswith((LINE_MARK, PART_MARK)):
            return None
        whole = raw.startswith(LINE_MARK)
        return self.decoder.decode(_bytes(raw[len(LINE_MARK):]), final=whole), whole


def kernel_text(raw: str) -> str:
    """A line of the kernel, fit to be printed."""
    return raw if raw.isascii() else _bytes(raw).decode("utf-8", "replace")


@dataclass
class Output:
    """All that a run has said so far. A program's line that the kernel interrupts stands where it began."""
    lines: list[str] = field(default_factory=list)  # the kernel's and the programs', as a reader wants them
    kernel_lines: list[str] = field(default_factory=list)
    program_lines: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)  # with the marks
    suites: list[SuiteResult] = field(default_factory=list)
    planned: int = -1
    counters: dict[str, int] = field(default_factory=dict)
    histogram: dict[str, int] = field(default_factory=dict)
    said: str | None = None      # the verdict line's word
    panicked: bool = False
    tasks: str = ""              # of a hang: the last task that was reported
    lock_order: str = ""         # one number for the order in which tasks took PTE-page locks
    progress: str | None = None  # the last progress line
    blocked: str = ""            # of a hang: the first task that waits for something, and for what
    program_end: str = ""        # of a run of one program: how it ended
    xen: str = ""                # its version, as it says

    def __post_init__(self) -> None:
        self._program, self._open = ProgramText(), -1  # where in lines the open line of a program is
        self.over = False  # nothing more will come, though the machine has not ended

    def feed(self, raw: str) -> None:
        """Take one line of the console, without its end."""
        if self.said and LAST_WORDS.startswith(raw):
            return
        self.raw.append(raw)
        if (part := self._program.take(raw)) is not None:
            self._feed_program(*part)
        else:
            if self.suites and self.suites[-1].ok is None:
                self.suites[-1].seconds = time.monotonic() - self.suites[-1].began
            self.kernel_lines.append(kernel_text(raw))
            self.lines.append(self.kernel_lines[-1])
            self._feed_kernel(self.kernel_lines[-1])

    def _feed_program(self, text: str, whole: bool) -> None:
        if self._open < 0:
            self._open = len(self.lines)
            self.lines.append("")
            self.program_lines.append("")
        self.program_lines[-1] += text
        self.lines[self._open] = line = self.program_lines[-1]
        if whole:
            self._open = -1
        if whole and line.startswith(PROGRESS):
            self.progress = line[len(PROGRESS):]

    def _feed_kernel(self, line: str) -> None:
        words = line.split()
        if line.startswith("(XEN) Xen version "):
            self.xen = line.split()[3]
        elif line.startswith("# counter ") and len(words) == 4 and words[3].isdigit():
            self.counters[words[2]] = int(words[3])
        elif line.startswith("# batch ") and len(words) == 4 and words[3].isdigit():
            self.histogram[words[2]] = int(words[3])
        elif line.startswith("# lock order ") and len(words) == 7:
            self.lock_order = words[3]
        elif line.startswith("# verdict ") and len(words) == 3:
            self.said = words[2]
        elif self.tasks and not self.blocked and line.startswith("#   waits for "):
            self.blocked = f"{self.tasks} {line[len('#   '):]}"
        elif m := _TASK.match(line):
            self.tasks = m[1]
        elif m := _PROGRAM_END.match(line):
            self.program_end = m[1]
        elif line.startswith("# panic: "):
            self.panicked = True
        else:
            self._feed_ktap(line)

    def _feed_ktap(self, line: str) -> None:
        if line.startswith("1..") and line[3:].isdigit():
            self.planned = int(line[3:])
        elif line.startswith("    # Subtest: "):
            self.suites.append(SuiteResult(line.split(": ", 1)[1], began=time.monotonic()))
        elif self.suites and line.startswith("    1..") and line[7:].isdigit():
            self.suites[-1].planned = int(line[7:])
        elif self.suites and (m := _CASE.match(line)):
            self._count_case(self.suites[-1], m)
        elif self.suites and (m := _RESULT.match(line)):
            self.suites[-1].ok = not m[1]
            self.suites[-1].seconds = time.monotonic() - self.suites[-1].began
        elif self.suites and line.startswith("    # "):
            self.suites[-1].notes.append(line.strip())

    @staticmethod
    def _count_case(suite: SuiteResult, m: re.Match[str]) -> None:
        said, suite.notes = "\n".join(suite.notes), []
        if m[1]:
            suite.failed += 1
            suite.cases.append(CaseResult(m[3], "failed", said))
        elif "# SKIP" in m[4]:
            suite.skipped += 1
            suite.cases.append(CaseResult(m[3], "skipped", m[4].partition("# SKIP")[2].strip()))
        else:
            suite.passed += 1
            suite.cases.append(CaseResult(m[3], "passed"))

    def at(self) -> str:
        """What a run is doing: in words."""
        if not self.suites:
            return "before the first suite"
        last = self.suites[-1]
        return f"{'in' if last.ok is None else 'after'} suite {last.name}, {len(self.suites)} of {self.planned}"

    def plain(self, raw: str) -> str:
        """A line of the console as its writer wrote it."""
        return raw

    def course(self) -> str:
        """What two runs differ in that end the same."""
        return f"lock order {self.lock_order or 'not recorded'}, {self.counters.get('page_faults', 0):,} page faults"

    def own_why(self) -> list[str]:
        """Why the run did not pass, if the output itself knows."""
        return []

    def verdict(self, suites_expected: bool = True) -> str:
        """passed, failed, usage, crashed, hung or none. Silence never passes: all that was planned must
        have been reported, and the kernel's own word must agree. A run of one program (init=) plans
        no suites; there the kernel's word is the verdict."""
        if self.panicked or self.said == "crashed":
            return "crashed"
        if self.said in ("usage", "hung"):
            return self.said
        if self.said is None:
            return "none"
        if not suites_expected:
            return self.said if self.said in ("passed", "failed") else "none"
        complete = len(self.suites) == self.planned and all(s.complete for s in self.suites)
        if not complete:
            return "none"
        ok = self.planned > 0 and all(s.verdict == "passed" for s in self.suites)
        return "passed" if ok and self.said == "passed" else "failed"
