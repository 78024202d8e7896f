"""./pteron trace: what the kernel recorded (kernel/debug/trace.h), as a Chrome trace that Perfetto opens.

Each CPU is a track. On it lie the tasks that ran, as slices; inside them the faults, from their begin
to their end; and all else as instants. Times are microseconds from the first event."""

import json
import re
from dataclasses import dataclass

QEMUS_TSC_MHZ = 1000.0
ENTRY_BITS = {0: "present", 1: "rw", 2: "user", 5: "accessed", 6: "dirty", 7: "large", 8: "global", 9: "special", 10: "protnone",
              63: "nx"}  # mm/types/pgtable_types.h
HYPERCALLS = {1: "mmu_update", 3: "stack_switch", 12: "memory_op", 13: "multicall", 14: "update_va_mapping", 18: "console_io", 20: "grant_table_op",
              23: "iret", 24: "vcpu_op", 25: "set_segment_base", 26: "mmuext_op", 29: "sched_op", 32: "event_channel_op"}  # Xen's public/xen.h
FAULT = "page fault"  # a program may be called fault
RESULTS = {0: "ok", 1: "no mapping or right", 2: "out of memory"}


class TraceError(Exception):
    """There is nothing to write."""


@dataclass(frozen=True)
class Event:
    """A line `# trace CPU TSC TASK KIND MM ADDRESS VALUE`."""
    cpu: int
    when: int
    task: int
    kind: str
    mm: int
    addr: int
    value: int

    @property
    def name(self) -> str:
        """Of the task that a switch goes to."""
        return self.addr.to_bytes(8, "little").split(b"\0")[0].decode("ascii", "replace")


def parse(lines: list[str]) -> list[Event]:
    """The events among the lines of a run, in order of time."""
    events = []
    for line in lines:
        words = line.split()
        if words[:2] == ["#", "trace"] and len(words) == 9:
            cpu, when, task, kind, mm, addr, value = words[2:]
            events.append(Event(int(cpu), int(when), int(task), kind, int(mm), int(addr, 16), int(value, 16)))
    return sorted(events, key=lambda e: e.when)


def _ticks_per_us(lines: list[str]) -> float:
    """As the kernel measured them; on Xen it does not."""
    found = re.search(r"# clock: TSC at ([\d.]+) MHz", "\n".join(lines))
    return float(found[1]) if found else QEMUS_TSC_MHZ


def lost(lines: list[str]) -> dict[int, int]:
    """How many events of each CPU were recorded before those that the ring of the CPU still has."""
    found = (re.fullmatch(r"# trace lost (\d+) (\d+)", line) for line in lines)
    return {int(m[1]): int(m[2]) for m in found if m}


def _record(phase: str, event: Event, name: str, **more) -> dict:
    return {"ph": phase, "pid": 1, "tid": event.cpu, "name": name, "ts": event.when, **more}


def _arguments(event: Event) -> dict:
    """What the event says, in words where the kernel has numbers."""
    told = {"task": event.task, "mm": event.mm}
    if event.kind in ("set_pte", "clear_pte", "modify_pte", "set_table"):
        return {**told, "page": hex(event.addr), "entry": _entry(event.value)}
    if event.kind in ("owe_flush", "flush_tlb"):
        return {**told, "from": hex(event.addr), "to": hex(event.value), "pages": (event.value - event.addr) >> 12}
    if event.kind == "batch":
        return {**told, "updates": event.value}
    if event.kind == "hypercall":
        return {**told, "call": HYPERCALLS.get(event.value, str(event.value)), "first argument": hex(event.addr)}
    if event.kind == "fault":
        access = "write" if event.value & 2 else "fetch" if event.value & 16 else "read"
        why = "refused" if event.value & 1 else "not present"
        return {**told, "address": hex(event.addr), "access": f"{access}, {'user' if event.value & 4 else 'kernel'}", "why": why}
    return {**told, "addr": hex(event.addr), "value": hex(event.value)}


def _entry(value: int) -> str:
    """A page-table entry: its frame and its bits."""
    bits = " ".join(name for bit, name in ENTRY_BITS.items() if value >> bit & 1)
    return f"frame {value >> 12 & (1 << 40) - 1:#x} {bits or 'no bits'}" if value else "empty"


class _Track:
    """The open slices of one CPU: the task that runs, and on top of it a fault that it takes."""

    def __init__(self) -> None:
        self.running = False
        self.faults = 0  # open ones; a task that is switched away shows its fault no further
        self.records: list[dict] = []

    def _end_faults(self, event: Event) -> None:
        for _ in range(self.faults):
            self.records.append(_record("E", event, FAULT))
        self.faults = 0

    def take(self, event: Event) -> None:
        """The next event of this CPU."""
        if event.kind == "switch":
            self._end_faults(event)
            if self.running:
                self.records.append(_record("E", event, ""))
            self.records.append(_record("B", event, f"{event.name} {event.value}", args={"mm": event.mm}))
            self.running = True
        elif event.kind == "fault":
            self.faults += 1
            self.records.append(_record("B", event, FAULT, args=_arguments(event)))
        elif event.kind == "fault_end":
            if not self.faults:
                return  # it began before the trace, or before its task was switched away
            self.faults -= 1
            result = RESULTS.get(event.value, str(event.value))
            self.records.append(_record("E", event, FAULT, args={"result": result}))
        else:
            self.records.append(_record("i", event, event.kind, s="t", args=_arguments(event)))

    def close(self, last: Event) -> None:
        """What is open ends with the trace."""
        self._end_faults(last)
        if self.running:
            self.records.append(_record("E", last, ""))


def chrome(events: list[Event]) -> dict:
    """The trace in the JSON object format of Chrome's trace viewer."""
    if not events:
        return {"traceEvents": []}
    tracks = {cpu: _Track() for cpu in sorted({e.cpu for e in events})}
    records = [{"ph": "M", "pid": 1, "name": "process_name", "args": {"name": "Pteron"}}]
    for cpu in tracks:
        records.append({"ph": "M", "pid": 1, "tid": cpu, "name": "thread_name", "args": {"name": f"CPU {cpu}"}})
    for event in events:
        tracks[event.cpu].take(event)
    for cpu, track in tracks.items():
        last = Event(cpu, events[-1].when, 0, "", 0, 0, 0)
        track.close(last)
        records += track.records
    return {"traceEvents": records, "displayTimeUnit": "ns"}


def as_json(lines: list[str]) -> str:
    """The trace of a run that said @lines."""
    trace, per_us = chrome(parse(lines)), _ticks_per_us(lines)
    start = min((r["ts"] for r in trace["traceEvents"] if "ts" in r), default=0)
    for record in trace["traceEvents"]:
        if "ts" in record:
            record["ts"] = (record["ts"] - start) / per_us
    return json.dumps(trace) + "\n"
