"""What a survey found, as one table: text, Markdown, JSON, or a page of HTML with the reports behind the cells."""

import json
import re
import statistics
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

from ..html_page import add, document
from .qemus import QEMU
from .survey import Cell, Survey

WIDE = 4  # platforms, beyond which these are the rows
_NUMBERS = re.compile(r"\b(?:0x)?[0-9a-f]{6,}\b|\d+(?:\.\d+)?")


@dataclass
class Kind:
    """Runs that failed in the same way."""
    letter: str
    what: str
    runs: list[dict] = field(default_factory=list)


def signature(result: dict) -> str:
    """The same for the same failure: what the kernel said, or why the run failed."""
    why = result.get("signature") or (result["why"][0].removeprefix("why: ") if result["why"] else "no verdict")
    return f"{result['verdict']}: {why if result.get('signature') else _NUMBERS.sub('N', why)}"


def _letter(n: int) -> str:
    return chr(ord("A") + n) if n < 26 else f"A{n}"


def markdown(facts: dict) -> str:
    """Of Table.facts(), new or kept."""
    rows = facts["rows"]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    for kind in facts["kinds"]:
        lines += ["", f"- **{kind['letter']}** `{kind['what']}`: {kind['when']}.", "", f"      {kind['replay']}"]
    return "\n".join([facts["configuration"] + ".", "", *lines, ""])


class Table:
    """Of a survey, as far as it is made."""

    def __init__(self, survey: Survey):
        self.plan = survey.plan
        self.cells: dict[Cell, list[dict]] = {cell: survey.results(cell) for cell in self.plan.cells()}
        self.kinds: dict[str, Kind] = {}
        for results in self.cells.values():
            for result in results:
                if result["verdict"] != "passed":
                    what = signature(result)
                    self.kinds.setdefault(what, Kind(_letter(len(self.kinds)), what)).runs.append(result)

    def text_of(self, cell: Cell) -> str:
        """All that passed, or how many failed, and how."""
        results = self.cells[cell]
        bad = [r for r in results if r["verdict"] != "passed"]
        if not results:
            return "-"
        if not bad:
            return f"{len(results)} passed"
        letters = sorted({self.kinds[signature(r)].letter for r in bad})
        return f"{len(bad)} of {len(results)} FAILED ({','.join(letters)})"

    def rows(self) -> list[list[str]]:
        """With a head; the longer dimension goes down."""
        kernels, platforms = self.plan.kernels, self.plan.platforms
        if len(platforms) > WIDE:
            return [["platform", *kernels], *([p.name, *(self.text_of(Cell(k, p)) for k in kernels)] for p in platforms)]
        return [["kernel", *(p.name for p in platforms)], *([k, *(self.text_of(Cell(k, p)) for p in platforms)] for k in kernels)]

    def is_bad(self) -> bool:
        return bool(self.kinds)

    def _configuration(self) -> str:
        results = [r for cell in self.cells.values() for r in cell]
        qemu = sorted({r["qemu"] for r in results})
        xens = sorted({r["xen"] for r in results if r.get("xen")})
        words = f", {self.plan.rounds} rounds" if self.plan.rounds else ""
        words += f", kernels with `{self.plan.kernel_append}`" if self.plan.kernel_append else ""
        dates = sorted({r["date"][:10] for r in results})
        return (f"{' to '.join(dict.fromkeys([dates[0], dates[-1]])) if dates else 'no run yet'}: {len(results)} runs; suites {self.plan.suite}, "
                f"seeds {self.plan.seeds[0]} to {self.plan.seeds[-1]}{words}; {', '.join(qemu) or QEMU}" + (f"; Xen {', '.join(xens)}" if xens else ""))

    def facts(self) -> dict:
        """What the documents keep of it: the rows, and of each kind its name, when it came, and how to see it again."""
        kinds = []
        for kind in self.kinds.values():
            clocks = [r["suite_seconds"] for r in kind.runs if r.get("suite_seconds")]
            after = f", after {statistics.median(clocks):.1f} virtual seconds of the suites (median)" if clocks else ""
            runs = f"{len(kind.runs)} run{'s' * (len(kind.runs) > 1)}"
            kinds.append({"letter": kind.letter, "what": kind.what, "when": f"{runs}{after}", "replay": kind.runs[0]["replay"]})
        return {"configuration": self._configuration(), "rows": self.rows(), "kinds": kinds}

    # --- the forms ---

    def as_text(self) -> str:
        rows = self.rows()
        widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
        for kind in self.facts()["kinds"]:
            lines += ["", f"{kind['letter']}  {kind['what']}", f"   {kind['when']}", f"   {kind['replay']}"]
        return "\n".join([*lines, "", self._configuration()])

    def as_markdown(self) -> str:
        return markdown(self.facts())

    def as_json(self) -> str:
        cells = [{"kernel": cell.kernel, "platform": cell.platform.name, "runs": len(results), "text": self.text_of(cell), "results": results}
                 for cell, results in self.cells.items()]
        return json.dumps({"schema": 1, "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "configuration": self._configuration(),
                           "kinds": {k.letter: k.what for k in self.kinds.values()}, "cells": cells}, indent=1) + "\n"

    def as_html(self) -> str:
        root, body = document("Pteron: a survey")
        add(body, "h1", "Pteron: a survey")
        add(body, "p", self._configuration())
        table = add(body, "table")
        for n, row in enumerate(self.rows()):
            line = add(table, "tr")
            for cell in row:
                self._cell(line, cell, "td" if n else "th")
        for kind in self.kinds.values():
            self._reports(body, kind)
        return "<!DOCTYPE html>\n" + ET.tostring(root, encoding="unicode", method="html") + "\n"

    @staticmethod
    def _cell(line: ET.Element, text: str, tag: str) -> None:
        """A cell that failed leads to the reports of its first kind."""
        if m := re.search(r"FAILED \((\w+)", text):
            add(add(line, tag, class_="failed"), "a", text, href=f"#{m[1]}")
        else:
            add(line, tag, text, **({"class_": "passed"} if text.endswith("passed") else {}))

    @staticmethod
    def _reports(body: ET.Element, kind: Kind) -> None:
        add(body, "h2", f"{kind.letter}: {kind.what}", id=kind.letter)
        for result in kind.runs:
            details = add(body, "details")
            add(details, "summary", f"{result.get('kernel', 'pteron')} on {result['on']}, seed {result['seed']}, {result['date']}")
            add(details, "pre", result["replay"])
            add(details, "pre", "\n".join(result["why"]))


FORMS = {"text": Table.as_text, "markdown": Table.as_markdown, "json": Table.as_json, "html": Table.as_html}
