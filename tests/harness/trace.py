"""./pteron trace: what the kernel recorded (kernel/debug/trace.h), as a Chrome trace that Perfetto opens.

Each CPU is a track. On it lie the tasks that ran, as slices; inside them their page faults, lazy sections, batches,
flushes, calls of other CPUs, interrupts and waits for locks, from begin to end; and all else as instants. What a task
is in when it is switched away goes on when it runs again, on whichever CPU. Suites and their cases have a track of
their own. An arrow leads from the call of another CPU to the answer there. Times are microseconds since the
recording began."""

import json
from collections import Counter
from itertools import count

from .trace_lines import Event, Trace

PID = 2000  # no track has that number: Perfetto takes thread 0, and the one that has the process's number, for one
SUITES_TRACK = 1000  # behind all CPUs
ENTRY_BITS = {0: "present", 1: "rw", 2: "user", 5: "accessed", 6: "dirty", 7: "large", 8: "global", 9: "special", 10: "protnone",
              63: "nx"}  # mm/types/pgtable_types.h
HYPERCALLS = {1: "mmu_update", 3: "stack_switch", 12: "memory_op", 13: "multicall", 14: "update_va_mapping", 17: "xen_version",
              18: "console_io", 20: "grant_table_op", 23: "iret", 24: "vcpu_op", 25: "set_segment_base", 26: "mmuext_op",
              29: "sched_op", 32: "event_channel_op"}  # Xen's public/xen.h
VECTORS = {2: "NMI", 0xF0: "timer", 0xF1: "reschedule", 0xF2: "cross-call", 0xF3: "kick"}  # kernel/cpu/interrupt.h, drivers/lapic.h
RESULTS = ["ok", "no mapping or right", "out of memory", "beyond the end of its object"]  # mm/range/fault.h
LAZY_DEPTH_MASK = 0xFF  # mm/lazy/lazy_mmu.h
SHOOTDOWN = "flush_on_this_cpu"  # mm/lazy/tlb.c
# Kinds that begin something, and what it is called; what ends it has the same name with _end.
SLICES = {"page_fault": "page fault", "lazy": "lazy section", "flush_tlb": "flush_tlb", "batch": "batch", "call": "cross-call",
          "answer": "answer to a cross-call", "interrupt": "interrupt", "lock_wait": "wait for"}
INSTANTS = {"program_fault": "fault of a program", "preempt": "preempted"}  # where the kind's name is not plain
ENTRY_CHANGES = ("set_pte", "clear_pte", "modify_pte")


def _named(names: dict[int, str], value: int) -> str:
    return names.get(value, f"unknown ({value:#x})")


def _entry(value: int) -> str:
    """A page-table entry: its frame and its bits."""
    bits = " ".join(name for bit, name in ENTRY_BITS.items() if value >> bit & 1)
    return f"frame {value >> 12 & (1 << 40) - 1:#x} {bits or 'no bits'}" if value else "empty"


def _pages(event: Event) -> dict:
    everything = event.addr == 0 and event.value >> 63  # TLB_FLUSH_ALL
    return {"from": hex(event.addr), "to": "the end" if everything else hex(event.value),
            "pages": "all" if everything else (event.value - event.addr) >> 12}


def _access(event: Event) -> dict:
    access = "write" if event.value & 2 else "fetch" if event.value & 16 else "read"
    return {"address": hex(event.addr), "access": f"{access}, {'user' if event.value & 4 else 'kernel'}",
            "why": "refused" if event.value & 1 else "not present"}


def _arguments(event: Event) -> dict:
    """What the event says, in words where the kernel has numbers."""
    match event.kind:
        case "set_pte" | "clear_pte" | "modify_pte" | "set_table":
            return {"page": hex(event.addr), "entry": _entry(event.value)}
        case "owe_flush" | "flush_tlb":
            return _pages(event)
        case "page_fault":
            return _access(event)
        case "program_fault":
            return {"address": hex(event.addr), "why": event.text}
        case "batch":
            return {"entries": event.value}
        case "hypercall":
            return {"call": _named(HYPERCALLS, event.value), "first argument": hex(event.addr)}
        case "call":
            return {"function": event.text, "CPUs": event.addr}
        case "answer":
            return {"function": event.text, "to": f"CPU {event.addr}"}
        case "ipi":
            return {"to": f"CPU {event.addr}", "vector": _named(VECTORS, event.value)}
        case "interrupt":
            return {"vector": _named(VECTORS, event.value), "at": hex(event.addr)}
        case "lock_wait":
            return {"class": event.text, "lock": hex(event.addr)}
        case "preempt":
            return {"goes on": f"CPU {event.addr}", "inside": "a lazy section" if event.value & LAZY_DEPTH_MASK else "no lazy section"}
    return {}


def _title(event: Event) -> str:
    """How what begins with @event is called."""
    name = SLICES[event.kind]
    if event.kind in ("call", "answer") and event.text == SHOOTDOWN:
        return name.replace("cross-call", "shootdown")
    if event.kind == "interrupt":
        return f"interrupt: {_named(VECTORS, event.value)}"
    return f"{name} {event.text}" if event.kind == "lock_wait" else name


class _Slice:
    """Something that a task is in."""

    def __init__(self, event: Event):
        self.kind, self.name = event.kind, _title(event)
        self.args = {**_arguments(event), "task": event.task, **({"mm": event.mm} if event.mm else {})}
        self.told: dict = {}  # when it ends: what was in it


class _Picture:
    """Makes records of events, in their order."""

    def __init__(self, trace: Trace):
        self.trace = trace
        self.records: list[dict] = []
        switches = [(e.task, e.name) for e in trace.events if e.kind == "switch"]
        self.names = {**trace.tasks, **dict(reversed(switches))}  # of tasks; the first that is known of each
        self.running: dict[int, int] = {}         # task of each CPU
        self.inside: dict[int, list[_Slice]] = {}  # of each task, the outermost first
        self.posts: dict[int, dict[int, dict]] = {}  # of each calling CPU: the arrows that begin there, by where they go
        self.ids = count(1)

    def _record(self, phase: str, track: int, when: int, name: str, **more) -> dict:
        record = {"ph": phase, "pid": PID, "tid": track, "name": name,
                  "ts": round((when - self.trace.began) / self.trace.ticks_per_us, 3), **more}
        self.records.append(record)
        return record

    def _begin(self, event: Event, piece: _Slice, again: bool = False) -> None:
        self._record("B", event.cpu, event.when, piece.name, args={**piece.args, **({"goes on": "yes"} if again else {})})

    def _leave(self, cpu: int, when: int) -> None:
        """The task that runs on @cpu does so no more."""
        task = self.running.pop(cpu, None)
        if task is not None:
            for piece in reversed(self.inside.get(task, [])):
                self._record("E", cpu, when, piece.name)
            self._record("E", cpu, when, self._task_name(task))

    def _task_name(self, task: int) -> str:
        return f"{self.names.get(task, 'task')} {task}"

    def _enter(self, event: Event) -> None:
        """From here on the task of @event runs on its CPU, and is in what it was in."""
        self._leave(event.cpu, event.when)
        if event.kind == "switch":
            self.names[event.task] = event.name
        self.running[event.cpu] = event.task
        self._record("B", event.cpu, event.when, self._task_name(event.task), args={"task": event.task, "mm": event.mm})
        for piece in self.inside.setdefault(event.task, []):
            self._begin(event, piece, again=True)

    def _end(self, event: Event) -> None:
        inside, kind = self.inside[self.running[event.cpu]], event.kind.removesuffix("_end")
        if kind not in (piece.kind for piece in inside):
            return  # it began before the trace
        while True:
            piece = inside.pop()
            told = {"result": RESULTS[event.value] if event.value < len(RESULTS) else "unknown"} if kind == "page_fault" else piece.told
            self._record("E", event.cpu, event.when, piece.name, args=told)
            if piece.kind == kind:
                return

    def _count(self, event: Event) -> None:
        """For the slices that tell at their end what was in them."""
        for piece in self.inside[self.running[event.cpu]]:
            if piece.kind == "lazy" and event.kind in ENTRY_CHANGES:
                piece.told["entries changed"] = piece.told.get("entries changed", 0) + 1
            elif piece.kind == "lazy" and event.kind == "batch":
                piece.told["batches"] = piece.told.get("batches", 0) + 1
            elif piece.kind in ("call", "flush_tlb") and event.kind == "post":
                piece.told["waits for"] = ", ".join(filter(None, [piece.told.get("waits for"), f"CPU {event.addr}"]))

    def _post(self, event: Event) -> None:
        """An arrow begins here; it is drawn once its end is known."""
        record = self._record("s", event.cpu, event.when, "asks", cat="call", id=0)
        self.posts.setdefault(event.cpu, {})[event.addr] = record

    def _answer(self, event: Event) -> None:
        if start := self.posts.get(event.addr, {}).pop(event.cpu, None):
            start["id"] = next(self.ids)
            self._record("f", event.cpu, event.when, "asks", cat="call", id=start["id"], bp="e")

    def _suite(self, event: Event) -> None:
        if event.kind in ("suite", "case"):
            self._record("B", SUITES_TRACK, event.when, f"{event.kind} {event.text}")
        else:
            self._record("E", SUITES_TRACK, event.when, "")

    def take(self, event: Event) -> None:
        """The next event."""
        if event.kind in ("suite", "case", "suite_end", "case_end"):
            self._suite(event)
            return
        if event.kind == "switch" or event.cpu not in self.running:
            self._enter(event)
            if event.kind == "switch":
                return
        self._count(event)
        if event.kind in SLICES:
            if event.kind == "call":
                self.posts.pop(event.cpu, None)  # the former call has been answered, perhaps in what is lost
            self.inside[self.running[event.cpu]].append(piece := _Slice(event))
            self._begin(event, piece)
            if event.kind == "answer":
                self._answer(event)
        elif event.kind.removesuffix("_end") in SLICES:
            self._end(event)
        elif event.kind == "post":
            self._post(event)
        else:
            told = {**_arguments(event), "task": event.task, **({"mm": event.mm} if event.mm else {})}
            self._record("i", event.cpu, event.when, INSTANTS.get(event.kind, event.kind), s="t", args=told)

    def close(self, when: int) -> list[dict]:
        """What is open ends with the trace; all records, in the order of time, without arrows that lead nowhere."""
        for cpu in list(self.running):
            self._leave(cpu, when)
        self.records = [r for r in self.records if r.get("id") != 0]
        return balanced(self.records)


def _names_of(cpus: set[int]) -> list[dict]:
    tracks = {**{cpu: f"CPU {cpu}" for cpu in sorted(cpus)}, SUITES_TRACK: "suites"}
    records = [{"ph": "M", "pid": PID, "name": "process_name", "args": {"name": "Pteron"}}]
    for track, name in tracks.items():
        records.append({"ph": "M", "pid": PID, "tid": track, "name": "thread_name", "args": {"name": name}})
        records.append({"ph": "M", "pid": PID, "tid": track, "name": "thread_sort_index", "args": {"sort_index": track}})
    return records


def balanced(records: list[dict], start: float = float("-inf"), end: float = float("inf")) -> list[dict]:
    """Those of [start, end]. What is open at the start begins there, and what is at the end, ends there; an end without
    a begin is left out, and so is an arrow that is not whole."""
    end = min(end, max((r["ts"] for r in records), default=0.0))
    ends = Counter(r["id"] for r in records if "id" in r and start <= r["ts"] <= end)
    open_at: dict[int, list[dict]] = {}
    kept: list[dict] = []
    begun = False
    for record in records:
        if record["ts"] > end:
            break
        if not begun and record["ts"] >= start:
            begun = True
            kept += [{**r, "ts": start} for stack in open_at.values() for r in stack]
        stack = open_at.setdefault(record["tid"], [])
        if record["ph"] == "B":
            stack.append(record)
        elif record["ph"] == "E":
            if not stack:
                continue
            record = {**record, "name": stack.pop()["name"]}
        if begun and ("id" not in record or ends[record["id"]] == 2):
            kept.append(record)
    for stack in open_at.values():
        kept += [{"ph": "E", "pid": PID, "tid": r["tid"], "name": r["name"], "ts": end} for r in reversed(stack)]
    return kept if begun else []


def _moment(text: str, records: list[dict], phase: str) -> float:
    """A --from ("B") or --to ("E"): microseconds, of a number of milliseconds, or of SUITE or SUITE:CASE.
    LookupError: there is no such suite or case."""
    try:
        return float(text) * 1000
    except ValueError:
        pass
    suite, _, case = text.partition(":")
    wanted = [f"suite {suite}", f"case {case}"] if case else [f"suite {suite}"]
    inside: list[str] = []
    found = []
    for record in (r for r in records if r["tid"] == SUITES_TRACK):
        if record["ph"] == "B":
            inside.append(record["name"])
        if inside == wanted and record["ph"] == phase:
            found.append(record["ts"])
        if record["ph"] == "E":
            inside.pop()
    if not found:
        raise LookupError(f"{text} is neither a number of milliseconds nor a SUITE or SUITE:CASE of what the trace still has")
    return found[0] if phase == "B" else found[-1]


def records_of(trace: Trace, start: str | None = None, end: str | None = None) -> list[dict]:
    """The records of @trace, in the order of time, between what --from and --to say."""
    picture = _Picture(trace)
    for event in trace.events:
        picture.take(event)
    records = picture.close(trace.events[-1].when) if trace.events else []
    if start is not None or end is not None:
        records = balanced(records, _moment(start, records, "B") if start else float("-inf"),
                           _moment(end, records, "E") if end else float("inf"))
    return _names_of({e.cpu for e in trace.events}) + records


def as_json(records: list[dict]) -> str:
    """In the JSON object format of Chrome's trace viewer, a record a line."""
    lines = ",\n".join(json.dumps(record, separators=(",", ":")) for record in records)
    return f'{{"displayTimeUnit":"ns","traceEvents":[\n{lines}\n]}}\n'
