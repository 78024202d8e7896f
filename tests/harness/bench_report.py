"""The report of a comparison: a table for each place, JSON, CSV and charts."""

import csv
import io
import json
from pathlib import Path

from . import charts
from .against import PLACES, PTERON, Key, Run, title
from .comparison import WHOLE, WORST_MOST, Value, Values, above_floor, collect, floor_ratio, goal, keys, met, ratio, sides_of, too_dear, worst_ratio
from .goals import FLOOR_MOST, GOAL_PAGES

_WIDE = 16  # of a figure; what a Linux of six numbers with its defaults is called is wider


def _sections(values: Values) -> list[tuple[str, list[Key]]]:
    every = keys(values)
    paged = [k for k in every if k.pages and not k.mapped]
    return [
        (f"instructions per page, {GOAL_PAGES} touched pages (* in all)",
         [k for k in paged if k.pages == GOAL_PAGES]),
        *((f"instructions per page, {n} touched page{'s' * (n > 1)}, aligned (* in all)",
           [k for k in paged if k.pages == n and k.where == "aligned"]) for n in (1, 16, 4096)),
        ("instructions in all", [k for k in every if not k.pages and not k.threads and k.name != "boot_seconds"]),
        ("instructions in all, by mapped pages", [k for k in every if k.mapped and k.pages == 1]),
        ("operations in 1e9 ticks, 2 vCPUs (only ratios mean anything)", [k for k in every if k.threads]),
        ("seconds from the start of QEMU to the first line (only ratios mean anything)",
         [k for k in every if k.name == "boot_seconds"]),
    ]


def _label(key: Key) -> str:
    words = [key.name + "*" * (key.name in WHOLE), key.where]
    words += [f"mapped {key.mapped}"] if key.mapped else []
    words += [f"{key.threads} threads"] if key.threads else []
    return f"{words[0]:<28}{' '.join(words[1:]).strip():<16}"


def _number(value: Value | None) -> str:
    if value is None:
        return "-"
    text = f"{value.number:,.2f}" if value.number < 10 else f"{value.number:,.0f}"
    if value.high:
        text += f" ±{(value.high - value.low) / 2 / value.number:.0%}"
    return text


def _worst(values: Values, place: str, side: str, key: Key) -> str:
    """The dearest single call, in all; ! where it is Pteron's and too dear."""
    value = values.get((place, side), {}).get(key)
    if not value or not value.worst:
        return ""
    mark = "!" if side == PTERON and (worst_ratio(values, place, key) or 0) > WORST_MOST else ""
    return f"{value.worst:,}{mark}"


def _floor_cells(ours: Value | None, place: str) -> str:
    """What no kernel can avoid, and how many times that Pteron takes; + where that is more than the goal."""
    times = floor_ratio(ours)
    if not times:
        return " " * 24
    return f"{_number(Value(ours.floor)):>14}{f'{times:,.2f}' + ('+' if times > FLOOR_MOST[place] else ' '):>10}"


def _cells(values: Values, place: str, key: Key) -> str:
    row = [f"{_number(values.get((place, side), {}).get(key)):>{_WIDE}}{_worst(values, place, side, key):>{_WIDE}}" for side in sides_of(values)]
    ours = values.get((place, PTERON), {}).get(key)
    row.append(_floor_cells(ours, place))
    times = ratio(values, place, key)
    row.append(f"{f'{times:.1f}x' if times else '':>8}")
    limit = goal(place, key)
    mark = "" if limit is None or not ours else "met" if met(place, key, ours) else "MISSED"
    row.append(f"{f'{limit:,g}' if limit else '':>8} {mark:<6}")
    return "".join(row)


def _of_place(values: Values, place: str) -> list[str]:
    """A line for each figure of a place: the sides, how many times better than the first Linux Pteron is, and the goal."""
    head = [f"{PLACES[place]:<44}" + "".join(f"{title(side):>{_WIDE}}{'worst':>{_WIDE}}" for side in sides_of(values)) +
            f"{'floor':>14}{'times ':>10}{'ratio':>8}{'goal':>8}"]
    lines = ["", *head]
    for what, rows in _sections(values):
        if rows:
            lines += ["", what]
            lines += [(_label(k) + _cells(values, place, k)).rstrip() for k in rows]
    return lines


def table(values: Values, about: dict[str, str]) -> str:
    """Everything, one place after the other; ± is half the distance from the least to the most of several repetitions."""
    places = [p for p in PLACES if any(place == p for place, _ in values)]
    lines = [f"{name}: {what}" for name, what in about.items() if what]
    for place in places:
        lines += _of_place(values, place)
    return "\n".join(lines)


def summary(values: Values) -> list[str]:
    """What is as it should be, and what is not."""
    good, all_goals = verdicts(values)
    dear = too_dear(values)
    judged = sum(bool(worst_ratio(values, place, key)) for place in PLACES for key in keys(values))
    lines = [f"{good} of {all_goals} goals are met"] * bool(all_goals)
    lines += [f"{len(dear)} of {judged} dearest single calls take more than {WORST_MOST} times Linux's (!)"] * bool(judged)
    lines += [f"  {PLACES[place]}: {' '.join(_label(key).split())}, {worst_ratio(values, place, key):.1f} times" for place, key in dear]
    for place in PLACES:
        if floors := [v for (p, _), figures in values.items() if p == place for k, v in figures.items() if v.floor and k.pages in (0, GOAL_PAGES)]:
            lines.append(f"{PLACES[place]}, {sum(p == place for p, _ in above_floor(values))} of {len(floors)} rows take more than "
                         f"{FLOOR_MOST[place]} times their floor (+)")
    return lines


def verdicts(values: Values) -> tuple[int, int]:
    """How many goals are met, of how many that could be judged."""
    judged = [met(place, key, value) for (place, side), figures in values.items() if side == PTERON
              for key, value in figures.items() if goal(place, key) is not None]
    return sum(map(bool, judged)), len(judged)


def _records(values: Values) -> list[dict]:
    """A flat record for each figure."""
    return [{"name": key.name, "pages": key.pages, "layout": key.where, "mapped": key.mapped,
             "threads": key.threads, "place": place, "side": side, "value": round(value.number, 3),
             "worst": value.worst or None, "floor": round(value.floor, 3) or None, "low": value.low, "high": value.high, "rate": value.rate, "goal": goal(place, key),
             "met": met(place, key, value) if side == PTERON else None,
             "worst_ratio": round(times, 3) if side == PTERON and (times := worst_ratio(values, place, key)) else None,
             "ratio": round(times, 3) if side == PTERON and (times := ratio(values, place, key)) else None}
            for (place, side), figures in values.items() for key, value in figures.items()]


def as_json(runs: list[Run], values: Values, about: dict[str, str]) -> str:
    """The configuration, each figure, and what every run's program said."""
    return json.dumps({
        "configuration": about, "unit": "instructions: per page where pages are given, except of " + ", ".join(WHOLE),
        "figures": _records(values),
        "runs": [{"side": r.side, "place": r.place, "mode": r.mode, "seconds_to_user": round(r.seconds, 3),
                  "lines": r.lines} for r in runs]}, indent=2) + "\n"


def as_csv(values: Values) -> str:
    out = io.StringIO()
    records = _records(values)
    writer = csv.DictWriter(out, list(records[0]) if records else [])
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def publish(runs: list[Run], about: dict[str, str], directory: Path) -> tuple[str, str]:
    """Leave table, JSON, CSV and charts in @directory; the table and what is there, and the JSON."""
    values = collect(runs)
    text = "\n".join([table(values, about), "", *summary(values)]) + "\n"
    figures = as_json(runs, values, about)
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("bench*.*"):  # or, if a chart cannot be drawn, it would be taken for one of these figures
        old.unlink()
    written = []
    for name, content in (("bench.txt", text), ("bench.json", figures), ("bench.csv", as_csv(values))):
        written.append(directory / name)
        written[-1].write_text(content, encoding="utf-8")
    written += charts.draw(values, directory, about)
    return f"{text}written: {', '.join(p.name for p in written)} in {directory}", figures
