"""What a judged kernel's console says of it: KTAP by /init, programs' lines, and complaints by the patterns.

Nothing passes by silence: a run is good if /init has said so, all that was planned has been told, and no line of the
kernel's or of Xen's fits a pattern of patterns.toml."""

import functools
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ..ktap import Output, kernel_text
from .symbols import annotate

PATTERNS = Path(__file__).with_name("patterns.toml")
IGNORED = "ignored"
ORDER = ("crashed", "hung", "failed")  # the worst first
REPORT_MAX = 120  # lines
_STAMP = re.compile(r"\[ *(\d+\.\d+)\](?:\[[ TC\d]+\])? ?(.*)", re.S)
_REPORT_BEGINS = re.compile(r"-+\[ cut here \]-+|^=+$")
_REPORT_ENDS = re.compile(r"---\[ end (trace|Kernel panic)|^Rebooting in|^\(XEN\) Rebooting|^# |^(not )?ok ")
# Behind it a kernel has nothing more to say: it waits for its end, Xen for five seconds.
_LAST_WORDS = re.compile(r"^Rebooting in |^\(XEN\) .*Dom(ain 0|0) crashed|^\(XEN\) Reboot in|^---\[ end Kernel panic")
_WHERE = re.compile(r"RIP: [0-9a-f]{4}:([A-Za-z_][\w.]*)\+")
_NUMBERS = re.compile(r"\b(?:0x)?[0-9a-f]{8,}\b|(?<=pid )\d+|(?<=CPU[#: ])\d+")
_FLAGS = re.compile(r"\bE?FLAGS: ([0-9a-f]{8,16})\b")
_NO_FLAGS = 0xffffffffffc08028  # bits that read 0 on every processor: Intel SDM vol. 1, 3.4.3
_BEFORE = 3  # lines between a report's beginning and the line that fits a pattern


@dataclass(frozen=True)
class Pattern:
    """A row of patterns.toml."""
    name: str
    regex: re.Pattern
    verdict: str
    why: str
    of: str = "linux"


@dataclass(frozen=True)
class Complaint:
    """A line that fits one."""
    pattern: Pattern
    text: str
    line: int      # of Output.kernel_lines
    clock: float   # virtual seconds since boot; of the last line that told
    suite: str     # that ran


@functools.cache
def patterns() -> tuple[Pattern, ...]:
    rows = tomllib.loads(PATTERNS.read_text(encoding="utf-8"))["pattern"]
    return tuple(Pattern(**{**row, "regex": re.compile(row["regex"])}) for row in rows)


def match(text: str) -> Pattern | None:
    """The first pattern that the kernel's or Xen's line @text fits."""
    of = "xen" if text.startswith("(XEN)") else "linux"
    return next((p for p in patterns() if p.of == of and p.regex.search(text)), None)


def _hint(report: list[str]) -> list[str]:
    """A line, where the flags in the kernel's @report are none that a processor has."""
    spoilt = next((m[1] for line in report if (m := _FLAGS.search(line)) and int(m[1], 16) & _NO_FLAGS), None)
    if not spoilt:
        return []
    return [f"  flags {spoilt} have bits that no processor sets: it is the emulator's fault (docs/findings); try --qemu 10.0"]


class Judged(Output):
    """The output of a Linux, whose vmlinux is @image. kernel_lines are without their time, which `clock` has."""

    def __init__(self, image: Path | None = None) -> None:
        super().__init__()
        self.image = image
        self.clock = 0.0
        self.began = 0.0  # when /init spoke first
        self.complaints: list[Complaint] = []

    def plain(self, raw: str) -> str:
        """Without the time, so that a program's mark comes first."""
        m = _STAMP.match(raw)
        return m[2] if m else raw

    def feed(self, raw: str) -> None:
        if self.over:
            return
        if m := _STAMP.match(raw):
            self.clock = float(m[1])
        text = self.plain(raw)
        if (part := self._program.take(text)) is not None:
            self.raw.append(raw)
            self._feed_program(*part)
            return
        self.raw.append(raw)
        self.over = self.over or bool(_LAST_WORDS.search(text))
        self.lines.append(kernel_text(raw))
        self.kernel_lines.append(kernel_text(text))
        self._feed_kernel(self.kernel_lines[-1])
        if not self.began and self.planned >= 0:
            self.began = self.clock
        self._look(self.kernel_lines[-1])

    def _look(self, text: str) -> None:
        if (found := match(text)) and found.verdict != IGNORED:
            suite = self.suites[-1].name if self.suites else ""
            self.complaints.append(Complaint(found, text, len(self.kernel_lines) - 1, self.clock, suite))

    def worst(self) -> Complaint | None:
        """The first of the worst."""
        return min(self.complaints, key=lambda c: ORDER.index(c.pattern.verdict), default=None)

    def verdict(self, suites_expected: bool = True) -> str:
        worst = self.worst()
        if worst and worst.pattern.verdict != "failed":
            return worst.pattern.verdict
        said = super().verdict(suites_expected)
        return "failed" if worst and said == "passed" else said

    def report(self, complaint: Complaint) -> list[str]:
        """The kernel's own report around @complaint, from where it is cut to its end."""
        lines, first = self.kernel_lines, complaint.line
        for at in range(complaint.line, max(-1, complaint.line - _BEFORE), -1):
            if _REPORT_BEGINS.search(lines[at]):
                first = at
                break
        last = first
        while last + 1 < len(lines) and last + 1 - first < REPORT_MAX:
            last += 1
            if last > complaint.line and _REPORT_ENDS.search(lines[last]):
                break
        return lines[first:last + 1]

    def own_why(self) -> list[str]:
        """What `why` says of this run, if the kernel complained: the worst, what it means, and the kernel's own report."""
        c = self.worst()
        if not c:
            return []
        where = f"suite {c.suite}, " if c.suite else ""
        more = len(self.complaints) - 1
        report = self.report(c)
        hint = _hint(report)
        if self.image:
            report = annotate(report, self.image)
        return [f"why: {where}after {c.clock:.3f} virtual seconds: {c.text}", f"  {c.pattern.name}: {c.pattern.why}",
                *hint, *([f"  {more} more lines complain"] if more else []), *(f"    {line}" for line in report)]

    def course(self) -> str:
        return f"{self.clock:.1f} virtual seconds, {self.suite_clock():.1f} of them of the suites"

    def suite_clock(self) -> float:
        """Virtual seconds from /init's first word to the worst complaint, or to the end."""
        worst = self.worst()
        return max(0.0, (worst.clock if worst else self.clock) - self.began)

    def signature(self) -> str:
        """Of what was found, the same for the same bug: what the kernel said, and in which function; empty if nothing was."""
        worst = self.worst()
        if not worst:
            return ""
        where = next((m[1] for line in self.report(worst) if (m := _WHERE.search(line))), "")
        return _NUMBERS.sub("N", worst.text).strip() + (f" in {where}" if where else "")

    def told(self) -> list[dict]:
        """For JSON: every line that complains."""
        return [{"pattern": c.pattern.name, "verdict": c.pattern.verdict, "text": c.text, "virtual_seconds": c.clock, "suite": c.suite}
                for c in self.complaints]
