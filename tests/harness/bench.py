"""./pteron bench: what the range functions cost, in instructions and hypercalls, side by side.

The figures come from the kernel's suite `costs`, run with one CPU under -icount shift=0, where the
time-stamp counter counts instructions, the hypervisor's own included. Nothing is timed."""

import json
import re
from dataclasses import dataclass, field, replace

from .build import Build
from .floor import floor_of
from .goals import FLOOR_MOST
from .machine import Config
from .runner import run

# How each machine can change page tables: a label, and what selects it.
WAYS = {
    "xen": {"whole tables": {"backend": "xen"}, "batched": {"backend": "xen", "tables": "off"},
            "unbatched": {"backend": "xen", "lazy": "off", "tables": "off"},
            "ptwr": {"backend": "ptwr", "tables": "off"}},
    "qemu": {"whole tables": {"backend": "native"}, "batched": {"backend": "native", "tables": "off"},
             "unbatched": {"backend": "native", "lazy": "off", "tables": "off"},
             "deferred": {"backend": "deferred", "tables": "off"}},
}
# Linux 6.1 (Debian), instructions per page for the same work: PV dom0 on this Xen, and native. From
# user mode, in a static program around the system call; see docs/benchmarks.md.
LINUX = {
    "xen": {"mprotect_rw_r": 1210, "mprotect_r_rw": 1335, "munmap": 2983, "dontneed": 2861,
            "mremap": 2930, "fork": 3958, "populate": 6782, "touch": 6126, "read_touch": 4206,
            "cow_copy": 9149, "cow_reuse": 4244},
    "qemu": {"mprotect_rw_r": 137, "mprotect_r_rw": 198, "munmap": 1017, "dontneed": 1001,
             "mremap": 80, "fork": 298, "populate": 3235, "touch": 3116, "read_touch": 1249,
             "cow_copy": 3739, "cow_reuse": 1368},
}
_PART = re.compile(r"# part (\w+) instructions=(\d+)$")
_DONE = re.compile(r"# done (\w+) ((?:\w+=\d+ ?)+)$")
_LINE = re.compile(r"# (cost|section) (\w+) ((?:\w+=\d+ ?)+)$")


@dataclass
class Figures:
    """What one boot measured: by operation, and by the size of a bare section."""
    operations: dict[str, dict[str, int]]
    sections: dict[int, dict[str, int]]
    floors: dict[str, float] = field(default_factory=dict)  # of a page of an operation: what no kernel can avoid

    def fit(self) -> tuple[float, float]:
        """H and P of the line H + N * P through the sections' instructions, by least squares."""
        points = [(n, s["instructions"]) for n, s in self.sections.items()]
        mean_n = sum(n for n, _ in points) / len(points)
        mean_i = sum(i for _, i in points) / len(points)
        slope = (sum((n - mean_n) * (i - mean_i) for n, i in points)
                 / sum((n - mean_n) ** 2 for n, _ in points))
        return mean_i - slope * mean_n, slope


class BenchError(Exception):
    """A boot that measured nothing."""


def parse(lines: list[str]) -> Figures:
    figures = Figures({}, {})
    for line in lines:
        if m := _LINE.match(line):
            values = numbers(m[3])
            if m[1] == "cost":
                figures.operations[m[2]] = values
            else:
                figures.sections[values["pages"]] = values
    return figures


def _floors(lines: list[str]) -> dict[str, float]:
    """Of what a metered boot says: what each operation did, and what its parts cost."""
    parts = {f"floor_{m[1]}": int(m[2]) for line in lines if (m := _PART.match(line))} | {"floor_syscall": 0}
    floors = {}
    for line in lines:
        if m := _DONE.match(line):
            done = numbers(m[2])
            fields = {"f": done["faults"], "c": 0, "k": done["copies"], "h": done["hypervisor"]}
            floors[m[1]] = floor_of(m[1], done["pages"], "aligned", fields, parts) / done["pages"]
    return floors


def booted(config: Config, label: str) -> list[str]:
    """The lines of a run that has passed."""
    done = run(config)
    if done.verdict != "passed":
        raise BenchError(f"{label}: {done.verdict}\n" + "\n".join(done.output.lines[-20:])
                         + "\nreplay: " + done.config.replay())
    return done.output.lines


def numbers(words: str) -> dict[str, int]:
    """key=value ..."""
    return {k: int(v) for k, v in (w.split("=") for w in words.split())}


def measure(on: str, say=lambda _: None) -> dict[str, Figures]:
    """One boot for each way."""
    build = Build(debug=False)
    build.make()
    base = Config(build=build, on=on, cpus=1, cpu="qemu64", suite="costs", icount=0)
    result = {}
    for label, options in WAYS[on].items():
        say(f"pteron: measuring {label}")
        result[label] = parse(booted(replace(base, **options), label))
    meter = Build(debug=False, meter=True)
    meter.make()
    say("pteron: measuring the floor")
    label, options = next(iter(WAYS[on].items()))
    result[label].floors = _floors(booted(replace(base, build=meter, **options), "the floor"))
    return result


def _floor_cells(on: str, figures: Figures, name: str) -> str:
    """What no kernel can avoid, how many times that it takes, and + where that is more than the goal."""
    if not figures.floors.get(name):
        return ""
    times = figures.operations[name]["instructions"] / figures.operations[name]["pages"] / figures.floors[name]
    floor = figures.floors[name]
    return f"{floor:>9,.{0 if floor >= 10 else 1}f}{times:>7,.{2 if times < 10 else 0}f}{'+' if times > FLOOR_MOST[on] else ' '}"


def table(on: str, measured: dict[str, Figures]) -> str:
    """Instructions per page of each operation; calls where there are any; Linux's figure; the first way's floor."""
    first = next(iter(measured.values()))
    lines = ["instructions per page, 512 touched pages of one table (hypercalls / emulated writes in all)", "",
             "".join([f"{'operation':<16}", *(f"{label:>22}" for label in measured), f"{'Linux 6.1':>12}", f"{'floor':>9}{'times':>8}" * bool(first.floors)])]
    for name in first.operations:
        cells = [f"{name:<16}"]
        for figures in measured.values():
            c = figures.operations[name]
            calls = f" ({c['hypercalls']}/{c['emulated']})" if on == "xen" else ""
            cells.append(f"{c['instructions'] / c['pages']:>10.0f}{calls:<12}")
        linux = LINUX[on].get(name)
        cells.append(f"{linux or '':>12}" + _floor_cells(on, first, name))
        lines.append("".join(cells).rstrip())
    return "\n".join(lines)


def curve(measured: dict[str, Figures]) -> str:
    """Instructions of a bare section that write-protects N entries."""
    sizes = next(iter(measured.values())).sections
    lines = ["instructions of a section that write-protects N entries, and the line H + N*P through them", "",
             "".join([f"{'N':>6}", *(f"{label:>12}" for label in measured)])]
    for n in sizes:
        lines.append("".join([f"{n:>6}", *(f"{f.sections[n]['instructions']:>12}"
                                           for f in measured.values())]))
    for i, name in enumerate("HP"):
        lines.append("".join([f"{name:>6}", *(f"{f.fit()[i]:>12.0f}" for f in measured.values())]))
    return "\n".join(lines)


def as_json(on: str, measured: dict[str, Figures]) -> str:
    return json.dumps({"on": on, "unit": "instructions", "linux_per_page": LINUX[on],
                       "ways": {label: {"operations": f.operations, "sections": f.sections, "floors": f.floors,
                                        "fit": dict(zip("HP", f.fit()))}
                                for label, f in measured.items()}}, indent=2) + "\n"
