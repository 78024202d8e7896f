"""SVG charts of a comparison, by matplotlib, which is loaded only here. Same figures, same bytes."""

from pathlib import Path

from .against import PLACES, SIDES, Key
from .comparison import Value, Values
from .goals import GOAL_PAGES, LIMITS

BARS = [("touch", "aligned"), ("read_touch", "aligned"), ("cow_copy", "aligned"), ("cow_reuse", "aligned"),
        ("mprotect_rw_r", "aligned"), ("mprotect_r_rw", "aligned"), ("mprotect_rw_r", "unaligned"),
        ("munmap", "aligned"), ("dontneed", "aligned"), ("mremap", "aligned"), ("mremap", "odd"),
        ("fork_marginal", "aligned"), ("populate", "aligned")]
SWEPT = ("munmap", "mprotect_rw_r", "fork")
SIZED = ("touch", "cow_copy", "mprotect_rw_r", "munmap", "mremap", "fork")
COLOURS = {"pteron": "#c0392b", "linux-best": "#2c5f8a", "linux-defaults": "#9db8cf"}


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


def _save(plt, figure, path: Path) -> Path:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path


def _bars(plt, values: Values, place: str, path: Path) -> Path | None:
    """Instructions per page of each operation, side by side; a logarithmic scale, as they differ much."""
    rows = [(n, w) for n, w in BARS if any(Key(n, GOAL_PAGES, w) in values.get((place, s), {}) for s in SIDES)]
    if not rows:
        return None
    figure, axes = plt.subplots(figsize=(11, 5))
    for i, (side, about) in enumerate(SIDES.items()):
        have = values.get((place, side), {})
        heights = [max(have.get(Key(n, GOAL_PAGES, w), Value(0)).number, 0) for n, w in rows]
        axes.bar([x + (i - 1) * 0.27 for x in range(len(rows))], heights, 0.27, label=about.title,
                 color=COLOURS[side])
    limits = [(x - 0.27, LIMITS[place][row]) for x, row in enumerate(rows) if row in LIMITS[place]]
    axes.scatter(*zip(*limits), marker="_", s=250, color="black", zorder=3, label="goal")
    axes.set_yscale("log")
    axes.set_xticks(range(len(rows)), [f"{n}\n{w}" for n, w in rows], rotation=40, ha="right")
    axes.set_ylabel("instructions per page")
    axes.set_title(f"{GOAL_PAGES} touched pages, {PLACES[place]}, exactly counted")
    axes.legend(loc="upper center")
    return _save(plt, figure, path)


def _curves(plt, values: Values, place: str, path: Path, names: tuple[str, ...], axis: str) -> Path | None:
    """For each operation a plot of its cost by touched (axis pages) or by mapped pages."""
    figure, all_axes = plt.subplots(1, len(names), figsize=(3.2 * len(names), 3.4), squeeze=False)
    drawn = False
    for axes, name in zip(all_axes[0], names):
        for side, about in SIDES.items():
            points = sorted((getattr(k, axis), v.number * (k.pages if axis == "mapped" else 1))
                            for k, v in values.get((place, side), {}).items() if k.name == name and
                            ((k.mapped and k.pages == 1) if axis == "mapped" else k.where == "aligned"))
            if points:
                axes.plot(*zip(*points), marker="o", ms=3, color=COLOURS[side], label=about.title)
                drawn = True
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_title(name)
        axes.set_xlabel("mapped pages, 1 touched" if axis == "mapped" else "touched pages")
    all_axes[0][0].set_ylabel("instructions" if axis == "mapped" else "instructions per page")
    if not drawn:
        plt.close(figure)
        return None
    next(axes for axes in all_axes[0] if axes.lines).legend()
    return _save(plt, figure, path)


def _scale(plt, values: Values, path: Path) -> Path | None:
    """Rates of several threads, as multiples of what one thread does."""
    series = []
    for (place, side), figures in values.items():
        speedups = sorted((k.threads, v.number) for k, v in figures.items()
                          if k.name == "faults_disjoint_speedup")
        if speedups:
            series.append((place, side, [1, *(n for n, _ in speedups)], [1, *(s for _, s in speedups)]))
    if not series:
        return None
    figure, axes = plt.subplots(figsize=(5.5, 4))
    for place, side, threads, speedup in series:
        axes.plot(threads, speedup, marker="o", color=COLOURS[side], ls="-" if place == "qemu" else "--",
                  label=f"{SIDES[side].title}, {PLACES[place]}")
    most = max(threads[-1] for _, _, threads, _ in series)
    axes.plot([1, most], [1, most], color="grey", ls=":", label="linear")
    axes.set(xlabel="threads, each with pages of its own", ylabel="faults per second, of one thread's",
             title="Faults in disjoint regions", ylim=(0, most * 1.1), xticks=range(1, most + 1))
    axes.legend()
    return _save(plt, figure, path)


def draw(values: Values, directory: Path) -> list[Path]:
    """Every chart that there are figures for."""
    plt = _pyplot()
    paths = [_scale(plt, values, directory / "bench-scale.svg")]
    for place in dict.fromkeys(place for place, _ in values):
        paths += [_bars(plt, values, place, directory / f"bench-operations-{place}.svg"),
                  _curves(plt, values, place, directory / f"bench-sizes-{place}.svg", SIZED, "pages"),
                  _curves(plt, values, place, directory / f"bench-mapped-{place}.svg", SWEPT, "mapped")]
    return [path for path in paths if path]
