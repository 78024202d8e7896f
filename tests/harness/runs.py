"""The last runs of ./pteron run: a log of each below build/runs/, and an index of them.

`./pteron replay` without an argument takes the last that did not pass, and `run --failed` its suites that failed."""

import json
import os
import time
from pathlib import Path

from .build import locked
from .catalogue import ROOT
from .machine import Config
from .runner import Result

RUNS = Path(os.environ.get("PTERON_RUNS", ROOT / "build/runs"))  # tests have one of their own
KEPT = 100
_INDEX = "index.jsonl"  # a JSON object a line, the oldest first


class NoRun(Exception):
    """There is no run to go back to; the text says so."""


def _entries(folder: Path) -> list[dict]:
    try:
        return [json.loads(line) for line in (folder / _INDEX).read_text(encoding="utf-8").splitlines()]
    except OSError:
        return []


def keep(result: Result, folder: Path = RUNS) -> Path:
    """Leave @result's output as a log, which ends with the line that repeats it, and put it into the index."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / ".lock"):
        entries = _entries(folder)
        number = entries[-1]["run"] + 1 if entries else 1
        log = folder / f"{number:04}-{result.verdict}.log"
        log.write_text("\n".join([*result.output.lines, f"replay: {result.config.replay()}", ""]), encoding="utf-8")
        entries.append({"run": number, "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "verdict": result.verdict,
                        "log": log.name, "replay": result.config.replay(), "kind": result.config.kind(), "seconds": round(result.seconds, 1),
                        "suites": {s.name: round(s.seconds, 2) for s in result.output.suites},
                        "failed": [s.name for s in result.output.suites if s.verdict != "passed"]})
        for old in entries[:-KEPT]:
            (folder / old["log"]).unlink(missing_ok=True)
        part = folder / f".{_INDEX}.{os.getpid()}"
        part.write_text("".join(json.dumps(entry) + "\n" for entry in entries[-KEPT:]), encoding="utf-8")
        os.replace(part, folder / _INDEX)
    return log


def shown(log: Path) -> str:
    """Its path, from the tree's folder if it is in there."""
    return str(log.relative_to(ROOT) if log.is_relative_to(ROOT) else log)


def last_like(config: Config, folder: Path = RUNS) -> dict | None:
    """The index's entry of the last run that passed and differs from @config in its seed at most."""
    kind = config.kind()
    return next((e for e in reversed(_entries(folder)) if e["verdict"] == "passed" and e.get("kind") == kind), None)


def last_failure(folder: Path = RUNS) -> dict:
    """The index's entry of the last run that did not pass."""
    for entry in reversed(_entries(folder)):
        if entry["verdict"] not in ("passed", "usage", "interrupted", "unstarted"):
            return entry
    raise NoRun("no run of ./pteron run has failed here yet; build/runs/ has the logs of the last ones")
