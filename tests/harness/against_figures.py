"""What docs/benchmarks.md and the README say of Pteron against Linux: of docs/figures/against.json, which `bench --against --record` writes.

One table for each place. The first Linux at its best is the one that Pteron is compared with; others, and the first one's
defaults, are columns beside it. What a table lacks (a floor, a worst case, a second kernel) has no column."""

import re
from collections.abc import Iterator

from .against import PLACES, PTERON, is_reference, title
from .comparison import WORST_MOST
from .goals import FLOOR_MOST, GOAL_PAGES, LIMITS

_PAGED = ("touch", "read_touch", "cow_copy", "cow_reuse", "mprotect_rw_r", "mprotect_r_rw", "munmap", "dontneed", "mremap",
          "populate", "fork", "fork_exit_wait", "fork_marginal")
_WHOLE = ("boot", "getppid", "mmap_untouched", "mmap_munmap_untouched", "fork_untouched", "fork_exit_wait_untouched",
          "cow_first_write", "mprotect_one_page_back", "munmap_touched_gib", "thread_create_join", "thread_end_of_many",
          "fork_and_write", "shell", "fork_server", "snapshot_1", "snapshot_10", "snapshot_50")
_IS_BOOT = "boot"
Row = tuple[str, str]  # name, layout
Figures = dict[tuple[str, str], dict[Row, dict]]  # by place and side


def kept(figures: list[dict]) -> list[dict]:
    """Of all figures those that the tables have."""
    return [f for f in figures if f["name"] in _PAGED + _WHOLE and not f["mapped"] and not f["threads"] and f["pages"] in (0, GOAL_PAGES)]


_SAME = ("counted", "qemu", "xen", "linux_best", "compiler")  # of the configuration: else two figures are not of one table


def merged(old: dict, new: dict, today: str) -> dict:
    """What was recorded, with @new in the place of what it measured again. Each figure says of which day it is."""
    fresh = [{**f, "date": today} for f in kept(new["figures"])]
    here = {_identity(f) for f in fresh}
    if any(old["configuration"].get(what) != new["configuration"][what] for what in _SAME):
        return {**new, "figures": fresh}
    rest = [f for f in old["figures"] if _identity(f) not in here]
    releases = dict.fromkeys(", ".join(filter(None, (new["configuration"]["linux"], old["configuration"]["linux"]))).split(", "))
    return {**new, "configuration": {**new["configuration"], "linux": ", ".join(releases)}, "figures": sorted(rest + fresh, key=_order)}


def _identity(f: dict) -> tuple:
    return f["place"], f["side"], f["name"], f["layout"]


def _order(f: dict) -> tuple:
    """Places, then Pteron, then the newest Linux first and its defaults behind it; rows stay as they were given."""
    numbers = [-int(n) for n in re.findall(r"\d+", f["side"])]
    return list(PLACES).index(f["place"]), f["side"] != PTERON, numbers, f["side"]


def _by_side(data: dict) -> Figures:
    found: Figures = {}
    for f in kept(data["figures"]):
        found.setdefault((f["place"], f["side"]), {})[f["name"], f["layout"]] = f
    return found


def _sides(figures: Figures) -> list[str]:
    return list(dict.fromkeys(side for _, side in figures))


def reference(data: dict) -> str:
    """The Linux that Pteron is compared with."""
    return next(filter(is_reference, _sides(_by_side(data))))


def reference_title(data: dict) -> str:
    return title(reference(data))


def _text(value: float | None, name: str = "") -> str:
    if value is None:
        return ""
    value = value / 1e6 if name == _IS_BOOT else value
    return f"{value:,.2f}" if value < 1 else f"{value:,.1f}" if value < 10 else f"{value:,.0f}"


def _is_dear(figures: Figures, place: str, linux: str, row: Row) -> bool:
    ours, theirs = (figures.get((place, side), {}).get(row, {}).get("worst") for side in (PTERON, linux))
    return bool(ours and theirs and ours > WORST_MOST * theirs)


def too_dear(data: dict) -> list[tuple[str, str]]:
    """Place and row of each dearest single call of Pteron's that takes more than WORST_MOST times Linux's."""
    figures = _by_side(data)
    return [(place, " ".join(row).strip()) for place in PLACES for row in figures.get((place, PTERON), {})
            if _is_dear(figures, place, reference(data), row)]


class _Table:
    """The columns of one place, each a heading and what it has of a row; those that are empty are left out."""

    def __init__(self, figures: Figures, place: str, linux: str):
        self.figures, self.place, self.linux = figures, place, linux
        others = [side for side in _sides(figures) if side not in (PTERON, linux)]
        columns = [("Pteron", lambda row: self._value(PTERON, row)), ("goal", self._goal), ("floor", self._floor), ("times", self._times),
                   *((title(side).removeprefix("Linux "), lambda row, side=side: self._value(side, row)) for side in [linux, *others]),
                   ("worst", self._worst), (f"of {title(linux).removeprefix('Linux ')}", lambda row: self._number(linux, row, "worst"))]
        self.columns = [(head, cell) for head, cell in columns if any(cell(row) for row in self._rows())]

    def _rows(self) -> list[Row]:
        return list(dict.fromkeys(row for side in _sides(self.figures) for row in self.figures.get((self.place, side), {})))

    def _of(self, side: str, row: Row) -> dict:
        return self.figures.get((self.place, side), {}).get(row, {})

    def _value(self, side: str, row: Row) -> str:
        return _text(self._of(side, row).get("value"), row[0])

    def _number(self, side: str, row: Row, what: str) -> str:
        return f"{number:,}" if (number := self._of(side, row).get(what)) else ""

    def _goal(self, row: Row) -> str:
        goal, ours = LIMITS[self.place].get(row), self._of(PTERON, row).get("value")
        return f"{goal:,}{'*' if ours is not None and ours > goal else ''}" if goal else ""

    def _floor(self, row: Row) -> str:
        return _text(self._of(PTERON, row).get("floor"))

    def _times(self, row: Row) -> str:
        ours = self._of(PTERON, row)
        if not ours.get("floor"):
            return ""
        times = ours["value"] / ours["floor"]
        return f"{times:,.{2 if times < 10 else 0}f}{'+' if times > FLOOR_MOST[self.place] else ''}"

    def _worst(self, row: Row) -> str:
        mark = "!" if _is_dear(self.figures, self.place, self.linux, row) else ""
        text = self._number(PTERON, row, "worst")
        return text + mark if text else ""

    def _lines(self, head: str, names: tuple[str, ...]) -> Iterator[str]:
        widths = [max(len(name), *(len(cell(row)) for row in self._rows() if row[0] in names)) + 2 for name, cell in self.columns]
        yield f"{head:<30}" + "".join(f"{name:>{width}}" for (name, _), width in zip(self.columns, widths))
        for row in (row for name in names for row in self._rows() if row[0] == name):
            label = "boot, millions" if row[0] == _IS_BOOT else " ".join(row).strip()
            yield (f"{label:<30}" + "".join(f"{cell(row):>{width}}" for (_, cell), width in zip(self.columns, widths))).rstrip()

    def text(self) -> list[str]:
        return [*self._lines(f"{PLACES[self.place]}, per page", _PAGED), "", *self._lines(f"{PLACES[self.place]}, in all", _WHOLE)]


def _ahead(figures: Figures, place: str, side: str) -> list[str]:
    """The rows of @place in which this side needs fewer instructions than Pteron."""
    theirs = figures.get((place, side), {})
    return [" ".join(row).strip() for row, f in figures.get((place, PTERON), {}).items() if row in theirs and theirs[row]["value"] < f["value"]]


def rows_behind(data: dict) -> list[str]:
    """The operations in which Pteron needs more instructions than the Linux that it is compared with."""
    figures = _by_side(data)
    return sorted({row.split()[0] for place in PLACES for row in _ahead(figures, place, reference(data))})


def rows_of_defaults(data: dict) -> int:
    """In how many rows, natively and on Xen, a Linux with its defaults needs fewer instructions."""
    figures = _by_side(data)
    return sum(len(_ahead(figures, place, side)) for place, side in figures if side != PTERON and not is_reference(side))


def _said(data: dict, figures: Figures) -> Iterator[str]:
    """Who is ahead of Pteron, and where; and which of its calls are dear."""
    for place in PLACES:
        dear = ", ".join(f"`{row}`" for where, row in too_dear(data) if where == place) or "no row"
        yield f"- Pteron, {PLACES[place]}, has a dearest call of more than {WORST_MOST} times {title(reference(data))}'s in: {dear}.\n"
    for place, side in figures:
        if side != PTERON:
            ahead = ", ".join(f"`{row}`" for row in _ahead(figures, place, side)) or "no row"
            yield f"- {title(side)}, {PLACES[place]}, needs fewer instructions than Pteron in: {ahead}.\n"


def block(data: dict) -> str:
    """What stands in docs/benchmarks.md."""
    figures, about = _by_side(data), data["configuration"]
    linux = reference(data)
    days = sorted({f["date"] for f in data["figures"]})
    text = (f"Of {' to '.join(dict.fromkeys((days[0], days[-1])))}: instructions, Xen's included; {GOAL_PAGES} touched pages; {about['counted']}; release build, "
            f"{about['compiler']}; {about['qemu']}; {about['xen']}; Linux {about['linux']} with `{about['linux_best']}`, where it is not with "
            f"its defaults:\n\n")
    for place in dict.fromkeys(place for place, _ in figures):
        text += "".join(f"    {line}\n" if line else "\n" for line in _Table(figures, place, linux).text()) + "\n"
    return text + "".join(_said(data, figures)) + "\n"
