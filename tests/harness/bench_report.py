"""The report of a comparison: one table, JSON, CSV and charts."""

import csv
import io
import json
from pathlib import Path

from . import charts
from .against import PLACES, SIDES, Key, Run
from .comparison import WHOLE, Value, Values, collect, goal, keys, met, ratio
from .goals import GOAL_PAGES


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


def _cells(values: Values, place: str, key: Key) -> str:
    row = [f"{_number(values.get((place, side), {}).get(key)):>15}" for side in SIDES]
    times = ratio(values, place, key)
    row.append(f"{f'{times:.1f}x' if times else '':>8}")
    limit, ours = goal(place, key), values.get((place, "pteron"), {}).get(key)
    mark = "" if limit is None or not ours else "met" if met(place, key, ours) else "MISSED"
    row.append(f"{f'{limit:,g}' if limit else '':>8} {mark:<6}")
    return "".join(row)


def table(values: Values, about: dict[str, str]) -> str:
    """Everything on one page: of each place the sides, how many times better than Linux at its best Pteron
    is, and the goal; ± is half the distance from the least to the most of several repetitions."""
    places = [p for p in PLACES if any(place == p for place, _ in values)]
    width = 15 * len(SIDES) + 8 + 15
    head = [" " * 44 + "".join(f"|{PLACES[p]:^{width}}" for p in places),
            " " * 44 + "".join("|" + "".join([*(f"{s.title:>15}" for s in SIDES.values()),
                                              f"{'ratio':>8}", f"{'goal':>8} {'':<6}"]) for _ in places)]
    lines = [*(f"{name}: {what}" for name, what in about.items()), "", *head]
    for title, rows in _sections(values):
        if rows:
            lines += ["", title]
            lines += [(_label(k) + "".join("|" + _cells(values, p, k) for p in places)).rstrip() for k in rows]
    return "\n".join(lines)


def verdicts(values: Values) -> tuple[int, int]:
    """How many goals are met, of how many that could be judged."""
    judged = [met(place, key, value) for (place, side), figures in values.items() if side == "pteron"
              for key, value in figures.items() if goal(place, key) is not None]
    return sum(map(bool, judged)), len(judged)


def _records(values: Values) -> list[dict]:
    """A flat record for each figure."""
    return [{"name": key.name, "pages": key.pages, "layout": key.where, "mapped": key.mapped,
             "threads": key.threads, "place": place, "side": side, "value": round(value.number, 3),
             "low": value.low, "high": value.high, "rate": value.rate, "goal": goal(place, key),
             "met": met(place, key, value) if side == "pteron" else None,
             "ratio": round(times, 3) if side == "pteron" and (times := ratio(values, place, key)) else None}
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
    good, all_goals = verdicts(values)
    text = f"{table(values, about)}\n\n{good} of {all_goals} goals are met\n"
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
