"""The figures of the documents: docs/figures/*.json, which commands write with --record, and the blocks that are made of them.

A block stands in a document between `<!-- figures: NAME -->` and `<!-- end of figures -->`. `make docs` writes what is between,
and the number in each sentence of _claims(); with --check (`make check`) nothing is written, and what differs is an error."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from . import against_figures, catalogue, coverage, unreached
from .bench import Figures, table as bench_table
from .judge.survey_table import markdown

TOP = catalogue.ROOT
FOLDER = TOP / "docs/figures"
DOCUMENTS = ("README.md", "docs/benchmarks.md", "docs/proof.md", "docs/kernels.md", "docs/hypervisors.md")
_BLOCK = re.compile(r"(<!-- figures: ([\w-]+) -->\n)(.*?)(<!-- end of figures -->)", re.S)


class FiguresError(Exception):
    """A document and the figures' files do not say the same; one line each."""


def read(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def record(name: str, figures: dict) -> Path:
    """Keep @figures, with the date and the version, for the documents."""
    path = FOLDER / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"date": today(), "version": catalogue.version(), **figures}, indent=1) + "\n", encoding="utf-8")
    return path


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def _code(lines: list[str]) -> str:
    return "\n".join("    " + line if line else "" for line in lines) + "\n"


# --- a run ---

_RUN_LINES = ("page faults", "spurious faults", "lazy sections", "pte updates", "sections preempted", "shootdowns", "batch size, mean")


def _run_block() -> str:
    summary = read("run")["summary"]
    return _code([line for line in summary if line.startswith(_RUN_LINES)] + ["", summary[-1]])


# --- the costs inside of the kernel ---

def _xen_block() -> str:
    data = read("bench-xen")
    measured = {label: Figures(way["operations"], {int(n): s for n, s in way["sections"].items()}, way.get("floors", {}))
                for label, way in data["ways"].items()}
    fits = {label: figures.fit() for label, figures in measured.items()}
    lines = bench_table("xen", measured).splitlines()[2:]
    lines += ["", f"a section that write-protects N entries, {fits['batched'][0]:.0f} + {fits['batched'][1]:.0f}·N: "
              + ", ".join(f"{label} {fit[1]:.0f} an entry" for label, fit in fits.items() if label != "whole tables")]
    return (f"Of {data['date']}; release build, one vCPU, qemu64, TCG, `-icount shift=0`; hypercalls / emulated writes in all, in "
            f"parentheses:\n\n{_code(lines)}")


# --- against Linux ---


def record_bench(name: str, data: dict) -> Path:
    """Without what each program said, and of a comparison only what the table has; it takes the place of what was recorded of the
    same sides, places and rows."""
    data.pop("runs", None)
    if name == "against":
        data = against_figures.merged(read("against"), data, today())
    return record(name, data)


# --- seeded bugs ---

_BACKENDS = ("native", "deferred", "shadow", "xen", "xl")


def merge_mutants(rows: list[dict]) -> Path:
    """Put what ./pteron mutants has found into the table, in the place of what it had of the same bugs and backends."""
    bugs = read("mutants")["bugs"] if (FOLDER / "mutants.json").exists() else {}
    for name in dict.fromkeys(row["bug"] for row in rows if row["bug"]):
        mine = [row for row in rows if row["bug"] == name]
        faults = [row["page_faults"] for row in mine if row["caught"]]
        bugs[name] = {"date": today(), "seeds": mine[0]["seeds"], "replays": mine[0]["replays"],
                      "caught": {**bugs.get(name, {}).get("caught", {}), **{row["backend"]: row["caught"] for row in mine}},
                      "faults": [min(faults), max(faults)] if faults else None, "said": mine[0]["oracle"][:60]}
    return record("mutants", {"bugs": bugs})


def _bug_line(name: str, bug: dict) -> str:
    faults = "" if bug["faults"] is None else " to ".join(f"{n:,}" for n in dict.fromkeys(bug["faults"]))
    caught = "".join(f"{bug['caught'].get(b, '-'):>9}" for b in _BACKENDS)
    return f"{name:<34}{bug['seeds']:>5}{bug['replays']:>8}{caught}  {bug['date']}{faults:>18}  {bug['said']}".rstrip()


def _mutants_block() -> str:
    bugs = read("mutants")["bugs"]
    head = f"{'bug':<34}{'seeds':>5}{'replays':>8}{''.join(f'{b:>9}' for b in _BACKENDS)}  {'on':<10}{'faults until':>18}  what noticed it"
    rest = [f"`{bug.name}`" for bug in catalogue.bugs() if bug.name not in bugs]
    return (_code([head, *(_bug_line(name, bug) for name, bug in bugs.items())]) +
            f"\nNot over 20 seeds yet, {len(rest)}: " + ", ".join(rest) + ".\n")


# --- mutants that nobody chose ---

def record_operators(rows: list[dict], options: dict, outcomes: list[str], places: int) -> Path:
    folders: dict[str, dict[str, int]] = {}
    for row in rows:
        counts = folders.setdefault(row["file"].rpartition("/")[0], dict.fromkeys(outcomes, 0))
        counts[row["outcome"]] += 1
    return record("operators", {"options": options, "places": places, "folders": folders})


def _operators_block() -> str:
    data = read("operators")
    names = list(next(iter(data["folders"].values())))
    total = {name: sum(counts[name] for counts in data["folders"].values()) for name in names}
    lines = [f"{'folder':<18}" + "".join(f"{name:>14}" for name in names)]
    lines += [f"{folder:<18}" + "".join(f"{counts[name]:>14}" for name in names)
              for folder, counts in [*data["folders"].items(), ("all", total)]]
    options = " ".join(f"--{key} {value}" for key, value in data["options"].items())
    return f"`./pteron operators {options}` of {data['date']}, {sum(total.values())} of {data['places']:,} mutants:\n\n{_code(lines)}"


# --- lines that run ---

def record_coverage(figures: dict) -> Path:
    """The figures by folder, and what no run reached, with what the reasons in the list must fit."""
    return record("coverage", {"runs": len(figures["runs"]), "folders": coverage.sums(figures["files"]),
                               "unreached": figures["unreached"]})


def _coverage_block() -> str:
    data = read("coverage")
    folders = [{"file": f"{name}/", **counts} for name, counts in data["folders"].items()]
    whole = {"all": {count: sum(f[count] for f in folders) for count in coverage.COUNTS}}
    try:
        reasons = coverage.reasons(data["unreached"])
    except unreached.UnreachedError as error:
        raise FiguresError(str(error)) from error
    tops = {f"all of {name}/": counts for name, counts in coverage.sums(folders, 1).items()}
    lines = coverage.rows({**data["folders"], **tops, **whole}) + ["", *reasons.splitlines()]
    return f"`./pteron coverage` of {data['date']}, {data['runs']} runs; below, the lines that none executes, by kind:\n\n{_code(lines)}"


BLOCKS: dict[str, Callable[[], str]] = {"run": _run_block, "bench-xen": _xen_block, "against": lambda: against_figures.block(read("against")),
                                        "mutants": _mutants_block, "operators": _operators_block, "coverage": _coverage_block,
                                        "survey-kernels": lambda: markdown(read("survey-kernels")),
                                        "survey-hypervisors": lambda: markdown(read("survey-hypervisors"))}


# --- sentences ---

def _claims() -> Iterator[tuple[str, str, str]]:
    """Document, pattern with one group, and what the group must be."""
    bugs, known = read("mutants")["bugs"], len(catalogue.bugs())
    always = sum(all(n == bug["seeds"] for n in bug["caught"].values()) for bug in bugs.values())
    places = read("operators")["places"]
    yield "README.md", r"Seeded into the kernel, (\d+) mistakes", f"{known}"
    yield "README.md", r"are caught; (\d+) of them over 20 of 20 seeds", f"{always}"
    against = read("against")
    yield "README.md", r"fewer\s+instructions\s+than\s+Pteron\s+in\s+(\w+)\s+row", \
        {0: "no", 1: "one"}.get(len(against_figures.rows_behind(against)), "several")
    yield "README.md", r"(Linux\s+[\d.]+)\s+needs\s+fewer\s+instructions\s+than\s+Pteron", against_figures.reference_title(against)
    yield "README.md", r"huge\s+pages,\s+Linux\s+is\s+ahead\s+in\s+(\d+)\s+rows?", f"{against_figures.rows_of_defaults(against)}"
    yield "docs/proof.md", r"holds (\d+) deliberate bugs", f"{known}"
    yield "docs/proof.md", r"changes the kernel at some ([\d,]+) places", f"{places:,}"


def claimed(document: str, text: str) -> str:
    """@text with the numbers of its sentences as the figures have them. FiguresError if one of them is not there."""
    for _, pattern, number in (claim for claim in _claims() if claim[0] == document):
        found = list(re.finditer(pattern, text))
        if len(found) != 1:
            raise FiguresError(f"{document}: no sentence, or more than one, has /{pattern}/")
        text = text[:found[0].start(1)] + number + text[found[0].end(1):]
    return text


def filled(text: str) -> str:
    """A document's @text with its blocks as the figures have them."""
    def block(m: re.Match) -> str:
        if m[2] not in BLOCKS:
            raise FiguresError(f"there are no figures {m[2]!r}")
        return f"{m[1]}{BLOCKS[m[2]]()}{m[4]}"
    return _BLOCK.sub(block, text)


def documents() -> dict[str, tuple[str, str]]:
    """Each document as it is, and as the figures have it."""
    texts = {name: (TOP / name).read_text(encoding="utf-8") for name in DOCUMENTS}
    used = [name for text in texts.values() for _, name, _, _ in _BLOCK.findall(text)]
    if sorted(used) != sorted(BLOCKS):
        raise FiguresError(f"the documents have the blocks {sorted(used)}, and the figures are {sorted(BLOCKS)}")
    return {name: (text, claimed(name, filled(text))) for name, text in texts.items()}


def main(argv: list[str]) -> int:
    try:
        stale = {name: new for name, (old, new) in documents().items() if old != new}
    except FiguresError as error:
        print(error, file=sys.stderr)
        return 1
    if stale and "--check" in argv:
        print(f"{', '.join(stale)}: figures differ from those of docs/figures and of the tree: run make docs", file=sys.stderr)
        return 1
    for name, text in stale.items():
        (TOP / name).write_text(text, encoding="utf-8")
    print(f"figures: {len(BLOCKS)} blocks, as docs/figures has them")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
