"""./pteron coverage: which lines and branches of mm/ and pv/ the suites run, on every backend.

The kernel prints gcov's counters at the end of each run (kernel/debug/coverage.c). gcovr makes a report of each run,
and one of all."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from . import catalogue, operator_runs, unreached
from .build import Build, run_checked
from .catalogue import ROOT
from .machine import TURNS, Config
from .runner import Result, run

COVERED = ("mm/", "pv/")
ROUNDS = 8  # of the stress suites: what they reach in more are other moments, hardly other lines
REPORT = ROOT / "build/report/coverage"
_DIRECTORY = ROOT / "build/coverage"
_SMALL = {"mem": 64, "suite": "oom,oom_kill,sparse,bounds"}
_UNBATCHED = {"lazy": "off", "tables": "off"}
_XEN = {"on": "xen", "backend": "xen"}
_RANGES = "fault,zap,mprotect,fork,pgtable,whole_table,links"
# Rules that mm/ and pv/ check, broken on purpose (tests/panics.c); each ends a run by a panic, which says what broke.
_BROKEN = ("user_access", "write_text", "lazy_at_exit", "lazy_queue_at_exit", "unlock_queued", "read_hazard", "unlock_owed",
           "unlink_owed", "put_owed", "swing_owed", "change_unlocked", "offset_of_nothing", "lost_dirty_bit", "write_after_free",
           "write_after_object_free", "table_not_empty")
# What runs, by name, and in what it differs; a function finds suites or programs when they are asked for, not at each
# start of ./pteron. Each mode of the kernel is in one of them.
RUNS: dict[str, dict] = {
    "native": {},
    "native, stepping": {"suite": catalogue.stepping_suites},
    "native, lazy off": _UNBATCHED,
    "native, 64 MiB": _SMALL,
    "deferred": {"backend": "deferred"},
    "shadow": {"backend": "shadow"},
    "shadow, 64 MiB": {"backend": "shadow", **_SMALL},
    "xen": _XEN,
    "xen, lazy off": {**_XEN, **_UNBATCHED, "suite": _RANGES},
    "xen, 64 MiB": {**_XEN, **_SMALL},
    "ptwr": {"on": "xen", "backend": "ptwr", "suite": _RANGES},
    "native, an old CPU": {"suite": "pv,doors,tlb,fault,zap", "append": "disable=fsgsbase,smap,pcid,x2apic"},
    "native, without fences": {"suite": "pv,doors", "append": "disable=swapgs_fence"},
    "xen, a witness": {**_XEN, "suite": "pv,batch", "append": "witness=on"},
    "domU": {"on": "xl", "backend": "xen", "suite": "pv,batch"},
    "domU, refused": {"on": "xl", "backend": "xen", "append": "panic=refused_update"},
    **{f"deferred, answers of {calls}": {"backend": "deferred", "initrd": operator_runs.programs, "program": (f"/bin/answers_{calls}",)}
       for calls in ("mm", "process")},
    **{f"deferred, {name}": {"backend": "deferred", "append": f"panic={name}"} for name in _BROKEN},
    "deferred, lazy off": {"backend": "deferred", **_UNBATCHED, "suite": _RANGES},
    "deferred, refused": {"backend": "deferred", "suite": "fault", "append": "refuse=500"},
}


class CoverageError(Exception):
    """A run says nothing of its lines; the text says why."""


def _config(build: Build, name: str) -> Config:
    """The run @name. What RUNS does not say is the same in all."""
    changes = {"suite": catalogue.ordinary_suites, **RUNS[name]}
    changes = {key: value() if callable(value) else value for key, value in changes.items()}
    return replace(Config(build=build, cpus=3, icount=TURNS, rounds=ROUNDS), **changes)


def expected(config: Config) -> str:
    """The verdict of a run whose lines count."""
    return "crashed" if config.append.startswith(("panic=", "refuse=")) else "passed"


def unpack(lines: list[str], folder: Path) -> int:
    """The counters among the @lines of a run as .gcda files below @folder, beside where a build keeps its notes."""
    files: dict[Path, bytearray] = {}
    data = bytearray()
    for line in lines:
        if m := re.match(r"# gcov file .*/build/[^/]+/(\S+)$", line):
            data = files.setdefault(folder / m[1], bytearray())
        elif line.startswith("# gcov data "):
            data += bytes.fromhex(line.removeprefix("# gcov data "))
    if not files or "# gcov end" not in lines:
        raise CoverageError("the run printed no counters to the end")
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return len(files)


def _trace(build: Build, number: int, result: Result) -> Path:
    """gcovr's JSON of one run."""
    folder = _DIRECTORY / str(number)
    unpack(result.output.kernel_lines, folder)
    for notes in build.directory.rglob("*.gcno"):
        shutil.copy2(notes, folder / notes.relative_to(build.directory))
    trace = folder / "gcovr.json"
    run_checked("gcovr", "--root", str(ROOT), *_filters(), "--exclude-throw-branches", "--json", str(trace), str(folder), cwd=ROOT)
    return trace


def _filters() -> list[str]:
    return [word for folder in COVERED for word in ("--filter", folder)]


def merged(traces: list[Path]) -> dict:
    """All runs together: a page of HTML for each file, and the figures."""
    shutil.rmtree(REPORT, ignore_errors=True)
    REPORT.mkdir(parents=True)
    summary = REPORT / "summary.json"
    run_checked("gcovr", "--root", str(ROOT), *_filters(), *(word for t in traces for word in ("-a", str(t))),
                "--html-details", str(REPORT / "index.html"), "--json-summary", str(summary), "--json", str(REPORT / "lines.json"),
                cwd=ROOT)
    report = json.loads((REPORT / "lines.json").read_text(encoding="utf-8"))
    return {"files": [{"file": f["filename"], "lines": f["line_total"], "lines_run": f["line_covered"],
                       "branches": f["branch_total"], "branches_taken": f["branch_covered"]}
                      for f in json.loads(summary.read_text(encoding="utf-8"))["files"]],
            "unreached": unreached.by_function(report)}


def measure(chosen: list[str], say: Callable[[str], None]) -> dict:
    """Run what is @chosen of RUNS, or all, one after the other; figures by file, and lines that none reached by function."""
    build = Build(coverage=True)
    build.make()
    shutil.rmtree(_DIRECTORY, ignore_errors=True)
    traces, about = [], {}
    for number, name in enumerate(RUNS):
        if chosen and name not in chosen:
            continue
        config = _config(build, name)
        result = run(config)
        say(f"pteron: {name}: {result.verdict} after {result.seconds:.0f} s")
        if result.verdict != expected(config):
            raise CoverageError(f"{name}: {result.verdict}; its lines may be others than a good run's\n{config.replay()}")
        about[name] = config.suite
        traces.append(_trace(build, number, result))
    return {"runs": list(about), **merged(traces)}


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:6.1f} %" if whole else "       -"


COUNTS = ("lines", "lines_run", "branches", "branches_taken")


def sums(files: list[dict], depth: int | None = None) -> dict[str, dict[str, int]]:
    """The figures by folder, or by what is left of it at @depth."""
    found: dict[str, dict[str, int]] = {}
    for f in files:
        folder = found.setdefault("/".join(f["file"].split("/")[:-1][:depth]), dict.fromkeys(COUNTS, 0))
        for count in COUNTS:
            folder[count] += f[count]
    return dict(sorted(found.items()))


def rows(named: dict[str, dict[str, int]]) -> list[str]:
    """A line for each of these, below a heading."""
    return [f"{'':<32}{'lines':>7}{'run':>9}{'branches':>10}{'taken':>9}"] + [
        f"{name:<32}{c['lines']:>7}{_percent(c['lines_run'], c['lines']):>9}"
        f"{c['branches']:>10}{_percent(c['branches_taken'], c['branches']):>9}" for name, c in named.items()]


def table(figures: dict) -> str:
    """A line for each folder, then for each file that is not complete, then the sum."""
    files = figures["files"]
    incomplete = {f["file"]: f for f in files if f["lines_run"] < f["lines"]}
    whole = {"all": {count: sum(f[count] for f in files) for count in COUNTS}}
    return "\n".join(rows({**sums(files), **incomplete, **whole}))


def reasons(found: dict[str, int]) -> str:
    """Why lines that no run reached are @found, by kind. UnreachedError if one has no reason, or a reason no line."""
    return "\n".join(f"{kind:<9}{lines:>6} lines of{functions:>4} functions: {unreached.KINDS[kind]}"
                     for kind, (functions, lines) in unreached.kinds(found, unreached.read()).items())
