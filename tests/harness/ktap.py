"""Reading the kernel's output: KTAP, counters and the verdict line."""

import re
from dataclasses import dataclass, field

_RESULT = re.compile(r"^(not )?ok (\d+) (\S+)(.*)$")
_PROGRAM_END = re.compile(r"^# init: .* (exited with status \d+|was ended by signal \d+)$")
_CASE = re.compile(r"^    (not )?ok (\d+) (\S+)(.*)$")


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

    @property
    def complete(self) -> bool:
        return self.ok is not None and self.passed + self.failed + self.skipped == self.planned

    @property
    def verdict(self) -> str:
        if not self.complete:
            return "incomplete"
        return "passed" if self.ok and not self.failed else "failed"


@dataclass
class Output:
    """All that a run has said so far."""
    lines: list[str] = field(default_factory=list)
    suites: list[SuiteResult] = field(default_factory=list)
    planned: int = -1
    counters: dict[str, int] = field(default_factory=dict)
    histogram: dict[str, int] = field(default_factory=dict)
    said: str | None = None      # the verdict line's word
    panicked: bool = False
    lock_order: str = ""         # one number for the order in which tasks took PTE-page locks
    progress: str | None = None  # the last progress line
    program_end: str = ""        # of a run of one program: how it ended

    def feed(self, line: str) -> None:
        """Take one line, without its end."""
        self.lines.append(line)
        words = line.split()
        if line.startswith("# progress "):
            self.progress = line[len("# progress "):]
        elif line.startswith("# counter ") and len(words) == 4 and words[3].isdigit():
            self.counters[words[2]] = int(words[3])
        elif line.startswith("# batch ") and len(words) == 4 and words[3].isdigit():
            self.histogram[words[2]] = int(words[3])
        elif line.startswith("# lock order ") and len(words) == 7:
            self.lock_order = words[3]
        elif line.startswith("# verdict ") and len(words) == 3:
            self.said = words[2]
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
            self.suites.append(SuiteResult(line.split(": ", 1)[1]))
        elif self.suites and line.startswith("    1..") and line[7:].isdigit():
            self.suites[-1].planned = int(line[7:])
        elif self.suites and (m := _CASE.match(line)):
            self._count_case(self.suites[-1], m)
        elif self.suites and (m := _RESULT.match(line)):
            self.suites[-1].ok = not m[1]
        elif self.suites and line.startswith("    # "):
            self.suites[-1].notes.append(line.strip())

    @staticmethod
    def _count_case(suite: SuiteResult, m: re.Match[str]) -> None:
        if m[1]:
            suite.failed += 1
        elif "# SKIP" in m[4]:
            suite.skipped += 1
        else:
            suite.passed += 1

    def verdict(self, suites_expected: bool = True) -> str:
        """passed, failed, usage, crashed or none. Silence never passes: all that was planned must
        have been reported, and the kernel's own word must agree. A run of one program (init=) plans
        no suites; there the kernel's word is the verdict."""
        if self.panicked or self.said == "crashed":
            return "crashed"
        if self.said == "usage":
            return "usage"
        if self.said is None:
            return "none"
        if not suites_expected:
            return self.said if self.said in ("passed", "failed") else "none"
        complete = len(self.suites) == self.planned and all(s.complete for s in self.suites)
        if not complete:
            return "none"
        ok = self.planned > 0 and all(s.verdict == "passed" for s in self.suites)
        return "passed" if ok and self.said == "passed" else "failed"
