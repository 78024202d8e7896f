"""SVG charts of a comparison, by matplotlib, which is loaded only here. Same figures, same bytes.

Each answers the question that is its title, shows only what was measured, and says of which date and commit it is and in
which unit. The legend stands below the axes, so that it covers nothing.

As a program (make docs) it draws the charts of docs/figures from what `bench --against linux --record` has left there."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

from .against import PLACES, PTERON, Key, title
from .catalogue import ROOT
from .comparison import Value, Values, sides_of
from .goals import GOAL_PAGES, LIMITS

BARS = [("touch", "aligned"), ("read_touch", "aligned"), ("cow_copy", "aligned"), ("cow_reuse", "aligned"),
        ("mprotect_rw_r", "aligned"), ("mprotect_r_rw", "aligned"), ("mprotect_rw_r", "unaligned"),
        ("munmap", "aligned"), ("dontneed", "aligned"), ("mremap", "aligned"), ("mremap", "odd"),
        ("fork_marginal", "aligned"), ("populate", "aligned")]
SWEPT = ("munmap", "mprotect_rw_r", "fork")
SIZED = ("touch", "cow_copy", "mprotect_rw_r", "munmap", "mremap", "fork")
COLOURS = ("#c0392b", "#2c5f8a", "#9db8cf", "#7d8c4a", "#c9a227", "#6b5b95")  # of the sides, in their order
ALL_BARS = 0.81  # of the distance between two rows
INCH_BELOW = 0.55  # of the figure, for the legend and what it is of
DOCUMENTS = ROOT / "docs/figures"


def _pyplot():
    try:
        import matplotlib
    except ImportError as error:
        raise OSError("charts need python3-matplotlib: apt-get install python3-matplotlib") from error
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "pteron", "svg.fonttype": "none", "axes.grid": True,
                                "axes.axisbelow": True, "grid.alpha": 0.3, "font.size": 9})
    from matplotlib import pyplot
    return pyplot


class Chart:
    """A figure of @panels panels side by side, its question, and what it is of."""

    def __init__(self, plt, size: tuple[float, float], panels: int, question: str):
        self.plt = plt
        self.figure, axes = plt.subplots(1, panels, figsize=size, squeeze=False)
        self.axes = list(axes[0])
        self.figure.suptitle(question, fontsize=11)

    def save(self, path: Path, about: dict[str, str], unit: str) -> Path:
        """With one legend for all panels."""
        entries = {label: handle for axes in self.axes for handle, label in zip(*axes.get_legend_handles_labels())}
        self.figure.legend(list(entries.values()), list(entries), loc="lower center", ncols=len(entries), frameon=False,
                           bbox_to_anchor=(0.5, 0.2 / self.figure.get_figheight()))
        self.figure.text(0.5, 0.08 / self.figure.get_figheight(), f"{unit}; {about['date']}, commit {about['commit']}",
                         ha="center", fontsize=7, color="#555555")
        self.figure.tight_layout(rect=(0, INCH_BELOW / self.figure.get_figheight(), 1, 1))
        self.figure.savefig(path, metadata={"Date": None})
        self.plt.close(self.figure)
        return path


def _colour(values: Values, side: str) -> str:
    return COLOURS[sides_of(values).index(side) % len(COLOURS)]


def _bars_of(have: dict[Key, Value], rows: list[tuple[str, str]]) -> list[tuple[int, float]]:
    """Where a bar stands, and its height: of the rows that were measured."""
    return [(x, have[key].number) for x, (n, w) in enumerate(rows) if (key := Key(n, GOAL_PAGES, w)) in have and have[key].number > 0]


def _bars(plt, values: Values, place: str, path: Path, about: dict[str, str]) -> Path | None:
    """Instructions per page of each operation, side by side; a logarithmic scale, as they differ much."""
    sides = [s for s in sides_of(values) if _bars_of(values.get((place, s), {}), BARS)]
    rows = [(n, w) for n, w in BARS if any(Key(n, GOAL_PAGES, w) in values[place, s] for s in sides)]
    if not rows:
        return None
    chart = Chart(plt, (11, 5.4), 1, f"What does each of {GOAL_PAGES} touched pages cost, {PLACES[place]}?")
    axes = chart.axes[0]
    width = ALL_BARS / max(3, len(sides))
    for i, side in enumerate(sides):
        at = (i - (len(sides) - 1) / 2) * width
        where, heights = zip(*_bars_of(values[place, side], rows))
        axes.bar([x + at for x in where], heights, width, label=title(side), color=_colour(values, side))
        if side == PTERON and (limits := [(x + at, LIMITS[place][row]) for x, row in enumerate(rows) if row in LIMITS[place]]):
            axes.scatter(*zip(*limits), marker="_", s=250, color="black", zorder=3, label="goal of Pteron")
    axes.set_yscale("log")
    axes.set_xticks(range(len(rows)), [f"{n}\n{w}" for n, w in rows], rotation=40, ha="right")
    axes.set_ylabel("instructions per page")
    return chart.save(path, about, "instructions per page, exactly counted, logarithmic: less is better")


def _points(have: dict[Key, Value], name: str, axis: str) -> list[tuple[int, float]]:
    """What @name costs, by touched (axis pages) or by mapped pages."""
    return sorted((getattr(k, axis), v.number * (k.pages if axis == "mapped" else 1)) for k, v in have.items() if k.name == name and
                  ((k.mapped and k.pages == 1) if axis == "mapped" else k.where == "aligned"))


def _curves(plt, values: Values, place: str, path: Path, names: tuple[str, ...], axis: str, about: dict[str, str]) -> Path | None:
    """A panel for each operation that was measured."""
    found = {name: points for name in names
             if (points := {s: p for s in sides_of(values) if (p := _points(values.get((place, s), {}), name, axis))})}
    if not found:
        return None
    mapped = axis == "mapped"
    question = "Is one touched page dearer in a large mapping" if mapped else "Is a page cheaper if more of them are touched"
    chart = Chart(plt, (max(5.0, 3.2 * len(found)), 3.9), len(found), f"{question}, {PLACES[place]}?")
    for axes, (name, points) in zip(chart.axes, found.items()):
        for side, line in points.items():
            axes.plot(*zip(*line), marker="o", ms=3, color=_colour(values, side), label=title(side))
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_title(name)
        axes.set_xlabel("mapped pages, 1 touched" if mapped else "touched pages")
    unit = "instructions" if mapped else "instructions per page"
    chart.axes[0].set_ylabel(unit)
    return chart.save(path, about, f"{unit}, exactly counted, logarithmic: less is better")


def _series(values: Values) -> Iterable[tuple[str, str, list[int], list[float]]]:
    """Rates of several threads, as multiples of what one thread does."""
    for (place, side), figures in values.items():
        if speedups := sorted((k.threads, v.number) for k, v in figures.items() if k.name == "faults_disjoint_speedup"):
            yield place, side, [1, *(n for n, _ in speedups)], [1, *(s for _, s in speedups)]


def _scale(plt, values: Values, path: Path, about: dict[str, str]) -> Path | None:
    series = list(_series(values))
    if not series:
        return None
    chart = Chart(plt, (6.5, 4.6), 1, "Do faults in disjoint regions scale with threads?")
    axes = chart.axes[0]
    for place, side, threads, speedup in series:
        axes.plot(threads, speedup, marker="o", color=_colour(values, side), ls="-" if place == "qemu" else "--",
                  label=f"{title(side)}, {PLACES[place]}")
    most = max(threads[-1] for _, _, threads, _ in series)
    axes.plot([1, most], [1, most], color="grey", ls=":", label="linear")
    axes.set(xlabel="threads, each with pages of its own", ylabel="faults per second, of one thread's",
             ylim=(0, most * 1.1), xticks=range(1, most + 1))
    return chart.save(path, about, "multiples of one thread's rate: more is better")


def draw(values: Values, directory: Path, about: dict[str, str]) -> list[Path]:
    """Every chart that there are figures for, and no older one beside them. @about: date and commit."""
    for old in directory.glob("bench-*.svg"):
        old.unlink()
    plt = _pyplot()
    paths = [_scale(plt, values, directory / "bench-scale.svg", about)]
    for place in dict.fromkeys(place for place, _ in values):
        paths += [_bars(plt, values, place, directory / f"bench-operations-{place}.svg", about),
                  _curves(plt, values, place, directory / f"bench-sizes-{place}.svg", SIZED, "pages", about),
                  _curves(plt, values, place, directory / f"bench-mapped-{place}.svg", SWEPT, "mapped", about)]
    return [path for path in paths if path]


def of_documents(directory: Path = DOCUMENTS) -> list[Path]:
    """The charts of docs/benchmarks.md, from the figures that were recorded."""
    data = json.loads((DOCUMENTS / "against.json").read_text(encoding="utf-8"))
    values: Values = {}
    for f in data["figures"]:
        values.setdefault((f["place"], f["side"]), {})[Key(f["name"], f["pages"], f["layout"], f["mapped"], f["threads"])] = Value(f["value"])
    plt = _pyplot()
    return [path for place in PLACES
            if (path := _bars(plt, values, place, directory / f"operations-{place}.svg", data["configuration"]))]


def main() -> int:
    """Whoever has no matplotlib is told, and may make the other documents; test_charts.py finds a chart that is old."""
    try:
        print("charts:", ", ".join(str(path.relative_to(ROOT)) for path in of_documents()))
    except OSError as error:
        print(f"charts: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
