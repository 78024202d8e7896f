"""tests/coverage-unreached.txt: in which functions of mm/ and pv/ are lines that no run of ./pteron coverage executes, and why.

One line each: `file:function: kind -- reason`. A function with such a line that is not listed, and one that is listed and has
none, are errors: of ./pteron coverage, and of `make check` for what it has recorded."""

import re
from pathlib import Path

from .catalogue import ROOT

LIST = ROOT / "tests/coverage-unreached.txt"
KINDS = {
    "alarm": "says that a rule is broken, or that the machine is: no run breaks that one",
    "refusal": "memory, a frame or a call is refused, where no run refuses it",
    "race": "another CPU must come within a few instructions, and in no run does",
    "machine": "for hardware, or a hypervisor, that the machines of the runs are not",
    "patched": "its call is one instruction, or none, since the boot (boot/patch.c)",
    "spare": "cannot be as its callers are, and it does not rely on them",
    "late": "runs when the counters are written already",
}
_LINE = re.compile(r"(\S+?:\w+): (\w+) -- (\S.*)")


class UnreachedError(Exception):
    """The list does not say what is true; one line each."""


def _said(line: str) -> tuple[str, str]:
    m = _LINE.fullmatch(line)
    if not m or m[2] not in KINDS:
        raise UnreachedError(f"{LIST.name}: not `file:function: kind -- reason`, or of no kind ({', '.join(KINDS)}): {line}")
    return m[1], m[2]


def explained(text: str) -> dict[str, str]:
    """The kind of each function, as file:function, in the list's @text."""
    pairs = [_said(line) for line in text.splitlines() if line and not line.startswith("#")]
    twice = {name for name, _ in pairs if [n for n, _ in pairs].count(name) > 1}
    if twice:
        raise UnreachedError(f"{LIST.name}: more than once: {', '.join(sorted(twice))}")
    return dict(pairs)


def kinds(found: dict[str, int], text: str) -> dict[str, tuple[int, int]]:
    """By kind, how many functions and lines of those that were @found unreached: lines by file:function."""
    why = explained(text)
    wrong = [f"no reason in {LIST.name}: {name}, {n} lines that no run executes" for name, n in sorted(found.items()) if name not in why]
    wrong += [f"{LIST.name}: every line of it runs, or it is gone: {name}" for name in sorted(why) if name not in found]
    if wrong:
        raise UnreachedError("\n".join(wrong))
    return {kind: (len(names), sum(found[name] for name in names)) for kind in KINDS
            if (names := [name for name in found if why[name] == kind])}


def by_function(report: dict) -> dict[str, int]:
    """How many lines no run has executed, by file:function, of gcovr's JSON."""
    found: dict[str, int] = {}
    for f in report["files"]:
        starts = sorted((fn["lineno"], fn["name"]) for fn in f["functions"])
        for line in f["lines"]:
            if not line["count"] and not line.get("gcovr/noncode"):
                name = max((s for s in starts if s[0] <= line["line_number"]), default=(0, "none"))[1]
                found[f"{f['file']}:{name}"] = found.get(f"{f['file']}:{name}", 0) + 1
    return found


def read(path: Path = LIST) -> str:
    return path.read_text(encoding="utf-8")
