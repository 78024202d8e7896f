"""What the kernel prints of its trace (kernel/debug/trace_print.c), as events."""

import re
from dataclasses import dataclass, field

QEMUS_TSC_MHZ = 1000.0
U64 = (1 << 64) - 1


class TraceError(Exception):
    """There is nothing to write."""


@dataclass(frozen=True)
class Event:
    """What trace.h calls a struct trace_event; text is what its value means, where that is a text or a function."""
    cpu: int
    when: int
    task: int
    kind: str
    mm: int
    addr: int
    value: int
    text: str = ""

    @property
    def name(self) -> str:
        """Of the task that a switch goes to: its first 16 characters."""
        raw = self.addr.to_bytes(8, "little") + self.value.to_bytes(8, "little")
        return raw.split(b"\0")[0].decode("utf-8", "replace")


@dataclass
class Trace:
    """All that one run has printed."""
    events: list[Event] = field(default_factory=list)        # in the order of time
    tasks: dict[int, str] = field(default_factory=dict)      # names of those that ran at the end
    lost: dict[int, int] = field(default_factory=dict)       # of each CPU: events older than those of its ring
    announced: int = 0                                       # how many events the kernel said would follow
    began: int = 0                                           # the TSC's value when recording began
    ticks_per_us: float = QEMUS_TSC_MHZ

    @property
    def ring_for_all(self) -> int:
        """How large rings lose nothing."""
        kept = {cpu: 0 for cpu in self.lost}
        for event in self.events:
            kept[event.cpu] += 1
        return max((self.lost[cpu] + n for cpu, n in kept.items()), default=0)


class _Ring:
    """Makes events of the words of one CPU, each of which says what differs from the one before."""

    def __init__(self, cpu: int):
        self.cpu, self.when = cpu, 0
        self.fields = [0, 0, 0, 0]  # address, value, mm, task

    def event(self, word: str, kinds: dict[int, str], texts: dict[int, str]) -> Event:
        """Of the next word."""
        passed, *differs = word[1:].split(",")
        self.when = self.when + int(passed, 16) & U64  # back, where an interrupt's event came in between slot and time
        for i, bits in enumerate(differs):
            self.fields[i] ^= int(bits or "0", 16)
        addr, value, mm, task = self.fields
        return Event(self.cpu, self.when, task, kinds[ord(word[0]) - ord("A")], mm, addr, value, texts.get(value, ""))


def parse(lines: list[str]) -> Trace:
    """The trace among the lines of a run."""
    trace, kinds, texts, ring = Trace(), {}, {}, None
    for line in lines:
        if found := re.match(r"# clock: TSC at ([\d.]+) MHz", line):
            trace.ticks_per_us = float(found[1])  # as the kernel measured it; on Xen it does not
        match line.split(maxsplit=4):
            case ["#", "trace", "kind", number, name]:
                kinds[int(number)] = name
            case ["#", "trace", "text", address, words]:
                texts[int(address, 16)] = words.removesuffix("+0x0")
            case ["#", "trace", "task", tid, name]:
                trace.tasks[int(tid)] = name
            case ["#", "trace", "began", when, *_]:
                trace.began = int(when)
            case ["#", "trace", "ring", cpu, counts]:
                lost, kept = map(int, counts.split())
                ring, trace.lost[int(cpu)] = _Ring(int(cpu)), lost
                trace.announced += kept
            case ["#", "trace", "=", *_] if ring:
                trace.events += [ring.event(word, kinds, texts) for word in line.split()[3:]]
    trace.events.sort(key=lambda e: e.when)
    return trace
