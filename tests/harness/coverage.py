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

from . import catalogue
from .build import Build, run_checked
from .catalogue import ROOT
from .machine import TURNS, Config
from .runner import Result, run

COVERED = ("mm/", "pv/")
REPORT = ROOT / "build/report/coverage"
_DIRECTORY = ROOT / "build/coverage"
_SMALL = {"mem": 64, "suite": "oom,oom_kill,sparse,bounds"}
_UNBATCHED = {"lazy": "off", "tables": "off"}
_XEN = {"on": "xen", "backend": "xen"}
# What runs, by name, and in what it differs; a function finds suites when they are asked for, not at each start of
# ./pteron. Each mode of the kernel is in one of them.
RUNS: dict[str, dict] = {
    "native": {},
    "native, stepping": {"suite": catalogue.stepping_suites},
    "native, lazy off": _UNBATCHED,
    "native, 64 MiB": _SMALL,
    "deferred": {"backend": "deferred"},
    "shadow": {"backend": "shadow"},
    "shadow, 64 MiB": {"backend": "shadow", **_SMALL},
    "xen": _XEN,
    "xen, lazy off": {**_XEN, **_UNBATCHED},
    "xen, 64 MiB": {**_XEN, **_SMALL},
    "ptwr": {"on": "xen", "backend": "ptwr", "suite": "fault,zap,mprotect,fork,pgtable,whole_table"},
}


class CoverageError(Exception):
    """A run says nothing of its lines; the text says why."""


def _config(build: Build, name: str) -> Config:
    """The run @name. What RUNS does not say is the same in all."""
    changes = {"suite": catalogue.ordinary_suites, **RUNS[name]}
    if callable(changes["suite"]):
        changes["suite"] = changes["suite"]()
    return replace(Config(build=build, cpus=3, icount=TURNS), **changes)


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


def _merged(traces: list[Path]) -> dict:
    """All runs together: a page of HTML for each file, and gcovr's summary."""
    shutil.rmtree(REPORT, ignore_errors=True)
    REPORT.mkdir(parents=True)
    summary = REPORT / "summary.json"
    run_checked("gcovr", "--root", str(ROOT), *_filters(), *(word for t in traces for word in ("-a", str(t))),
                "--html-details", str(REPORT / "index.html"), "--json-summary", str(summary), "--json", str(REPORT / "lines.json"),
                cwd=ROOT)
    return json.loads(summary.read_text(encoding="utf-8"))


def measure(chosen: list[str], say: Callable[[str], None]) -> dict:
    """Run what is @chosen of RUNS, or all, one after the other; figures by file."""
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
        if result.verdict != "passed":
            raise CoverageError(f"{name}: {result.verdict}; its lines may be others than a good run's\n{config.replay()}")
        about[name] = config.suite
        traces.append(_trace(build, number, result))
    return {"runs": list(about), "files": [
        {"file": f["filename"], "lines": f["line_total"], "lines_run": f["line_covered"],
         "branches": f["branch_total"], "branches_taken": f["branch_covered"]} for f in _merged(traces)["files"]]}


def missed() -> dict[str, list[int]]:
    """Lines of code that no run has reached, by file, of the last measurement."""
    report = json.loads((REPORT / "lines.json").read_text(encoding="utf-8"))
    return {f["file"]: lines for f in report["files"]
            if (lines := sorted(line["line_number"] for line in f["lines"] if not line["count"] and not line.get("gcovr/noncode")))}


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:6.1f} %" if whole else "       -"


def table(figures: dict) -> str:
    """A line for each folder, then for each file that is not complete, then the sum."""
    folders: dict[str, list[dict]] = {}
    for f in figures["files"]:
        folders.setdefault(f["file"].rpartition("/")[0], []).append(f)
    rows = [(name, files) for name, files in sorted(folders.items())]
    rows += [(f["file"], [f]) for f in figures["files"] if f["lines_run"] < f["lines"]]
    rows.append(("all", figures["files"]))
    text = [f"{'':<32}{'lines':>7}{'run':>9}{'branches':>10}{'taken':>9}"]
    for name, files in rows:
        lines, ran, branches, taken = (sum(f[k] for f in files) for k in ("lines", "lines_run", "branches", "branches_taken"))
        text.append(f"{name:<32}{lines:>7}{_percent(ran, lines):>9}{branches:>10}{_percent(taken, branches):>9}")
    return "\n".join(text)
