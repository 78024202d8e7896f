"""./pteron bench --contention: how often the page faults of one address space wait for a lock.

The figures come from the kernel's suite `contention`, booted with 1 to 32 vCPUs, one thread on each.
They are counts, but of a real race: two runs differ. What must be zero the suite checks itself."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from .bench import booted, numbers
from .build import Build
from .machine import Config

VCPUS = (1, 2, 4, 8, 16, 32)
LAYOUTS = {"disjoint": "2 MiB for each thread", "shared": "one PTE page for all",
           "by_mmap_lock": "2 MiB for each thread, all by mmap_lock"}
_LINE = re.compile(r"# contention (\w+) ((?:\w+=\d+ ?)+)$")


@dataclass(frozen=True)
class Row:
    """One layout with so many vCPUs: faults, and acquisitions that had to wait, by the kind of lock."""
    layout: str
    cpus: int
    faults: int
    waits: dict[str, int]


def parse(lines: list[str]) -> list[Row]:
    rows = []
    for line in lines:
        if m := _LINE.match(line):
            values = numbers(m[2])
            rows.append(Row(m[1], values.pop("cpus"), values.pop("faults"), values))
    return rows


def measure(on: str, vcpus: tuple[int, ...] = VCPUS, say: Callable[[str], None] = lambda _: None) -> list[Row]:
    """One boot for each number of vCPUs."""
    build = Build(debug=False)
    build.make()
    rows = []
    for n in vcpus:
        say(f"pteron: {n} vCPUs")
        config = Config(build=build, on=on, backend="xen" if on == "xen" else "native", cpus=n,
                        suite="contention")
        rows += parse(booted(config, f"{n} vCPUs"))
    return rows


def table(rows: list[Row]) -> str:
    """Contended acquisitions for 1,000 faults: of locks of the address space, and of free frames."""
    lines = ["acquisitions that had to wait, for 1,000 page faults of one address space", "",
             f"{'vCPUs':>6} {'faults':>8} {'mmap_lock':>10} {'VMA':>8} {'tables':>8} {'PTE page':>9} {'frames':>8}"]
    for layout, what in LAYOUTS.items():
        lines += ["", what]
        for row in (r for r in rows if r.layout == layout):
            cells = [f"{1000 * n / row.faults:.2f}" if n else "0" for n in row.waits.values()]
            lines.append(f"{row.cpus:>6} {row.faults:>8,} " + " ".join(
                f"{cell:>{width}}" for cell, width in zip(cells, (10, 8, 8, 9, 8))))
    return "\n".join(lines)


def as_json(on: str, rows: list[Row]) -> str:
    return json.dumps({"on": on, "unit": "contended acquisitions", "rows": [vars(r) for r in rows]}, indent=2) + "\n"
