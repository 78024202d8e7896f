"""Why a run did not pass, in a few lines at its end: the first complaint, its history, and the other kinds with their counts.

A run that fails may complain hundreds of times; complaints that differ in numbers only are of one kind."""

import re
from dataclasses import dataclass, field

from .ktap import PROGRESS, Output

KINDS_SHOWN, HISTORY_SHOWN = 6, 12
LAST_LINES = 15  # of a run that ended without a report
_CASE = re.compile(r"^    (not )?ok \d+ (\S+)")
_HISTORY = re.compile(r"^\s*# history of ")
_EVENT = re.compile(r"^\s*#   \d+ before: ")
_COMPLAINT = re.compile(r"^\s*# (?:FAIL |audit: |\S+\.[ch]:\d+: )")
_NUMBER = re.compile(r"\b(?:0x)?(?=[0-9a-f]*\d)[0-9a-f]+\b")


@dataclass
class Complaint:
    """The first of its kind."""
    text: str
    count: int = 1
    history: list[str] = field(default_factory=list)


def _kind(text: str) -> str:
    return _NUMBER.sub("N", text)


class _Case:
    """What was said within one case, and before its verdict."""

    def __init__(self) -> None:
        self.kinds: dict[str, Complaint] = {}
        self.history: list[str] = []  # it comes before the complaint of a program, and behind that of an audit
        self.last: Complaint | None = None

    def take(self, line: str) -> None:
        if _HISTORY.match(line):
            self.history = [line.strip()]
            if self.last and not self.last.history:
                self.last.history = self.history
        elif _EVENT.match(line) and self.history:
            self.history.append(line.strip())
        elif _COMPLAINT.match(line):
            self._complain(line.strip().removeprefix("# "))

    def _complain(self, text: str) -> None:
        known = self.kinds.get(_kind(text))
        if known:
            known.count += 1
        else:
            known = self.kinds[_kind(text)] = Complaint(text, history=self.history if text.startswith("FAIL ") else [])
        self.last = known if text.startswith("audit: ") and known.count == 1 else None
        self.history = []


def _failures(output: Output) -> list[tuple[str, list[Complaint]]]:
    """The cases that failed, by suite and name, with what was complained of in each."""
    found, suite, case = [], "", _Case()
    for line in output.lines:
        if line.startswith(PROGRESS):
            continue
        if line.startswith("    # Subtest: "):
            suite, case = line.split(": ", 1)[1], _Case()
        elif m := _CASE.match(line):
            if m[1]:
                found.append((f"{suite}, case {m[2]}", list(case.kinds.values())))
            case = _Case()
        else:
            case.take(line)
    return found


def _told(complaints: list[Complaint]) -> list[str]:
    lines = []
    for complaint in complaints[:KINDS_SHOWN]:
        more = f" (and {complaint.count - 1} more of this kind)" if complaint.count > 1 else ""
        lines.append(f"  {complaint.text}{more}")
        if complaint is complaints[0]:
            lines += [f"    {event.removeprefix('# ')}" for event in complaint.history[-HISTORY_SHOWN:]]
    if len(complaints) > KINDS_SHOWN:
        lines.append(f"  and {len(complaints) - KINDS_SHOWN} other kinds")
    return lines


def _of_a_crash(output: Output) -> list[str]:
    """The panic's own line, and where it was."""
    lines = output.kernel_lines
    at = next((i for i, line in enumerate(lines) if line.startswith("# panic: ")), None)
    if at is None:
        return []
    where = [line[2:] for line in lines[at + 1:at + 4] if line.startswith(("# cpu ", "# rip "))]
    suite = f" in suite {output.suites[-1].name}" if output.suites else ""
    return [f"why: panic{suite}: {lines[at].removeprefix('# panic: ')}", *(f"  {line}" for line in where)]


def _of_a_program(output: Output) -> list[str]:
    """How it ended, or why it did not begin; and what the kernel said of it."""
    said = [line.removeprefix("# ") for line in output.kernel_lines if line.startswith(("# error: ", "# killed "))]
    ended = [f"why: the program {output.program_end}"] if output.program_end else []
    return ended + [f"  {line}" if ended else f"why: {line}" for line in said[-2:]]


def why(verdict: str, output: Output) -> list[str]:
    """A few lines; none if nothing is known."""
    if own := output.own_why():
        return own
    if verdict == "crashed":
        return _of_a_crash(output)
    if verdict == "hung":
        return [f"why: {output.blocked or 'nothing more was said'}, {output.at()}"]
    if verdict == "timeout":
        return [f"why: out of time {output.at()}"]
    failures = _failures(output)
    if verdict == "failed" and not failures:
        return _of_a_program(output)
    if verdict != "failed":
        return []
    name, complaints = failures[0]
    lines = [f"why: suite {name}", *_told(complaints)]
    if failures[1:]:
        lines.append("also failed: " + "; ".join(dict.fromkeys(name for name, _ in failures[1:])))
    return lines


_REPORTS = ("# hang: ", "# panic: ")  # a report begins so, and goes on to the last line but the counters
_NO_REPORT = ("# batch ", "# counter ", "# progress ")


def report(output: Output) -> list[str]:
    """What the kernel said of its CPUs and tasks at the end of a run that hung or crashed; its last lines, if it did not."""
    lines = [line for line in output.kernel_lines if not line.startswith(_NO_REPORT)]
    begin = next((i for i, line in enumerate(lines) if line.startswith(_REPORTS)), max(len(lines) - LAST_LINES, 0))
    return lines[begin:]
