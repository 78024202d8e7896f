"""Figures of several sides beside each other: what follows from them, their ratios, and the goals."""

from dataclasses import dataclass, replace
from statistics import median

from .against import Key, Run
from .goals import GOAL_PAGES, LIMITS, SPEEDUP

# Operations whose cost is not a page's: the whole of it stands in the table.
WHOLE = ("cow_first_write", "first_write_after_mprotect", "mprotect_one_page_back")
FORKS = ("fork", "fork_parent")
REFERENCE = "linux-best"


@dataclass(frozen=True)
class Value:
    """A figure of one side in one place: a cost, of which less is better, or a rate."""
    number: float
    low: float = 0.0
    high: float = 0.0
    rate: bool = False


Values = dict[tuple[str, str], dict[Key, Value]]  # by place and side


def _value(key: Key, fields: dict[str, int]) -> Value:
    if "rate" in fields:
        return Value(fields["rate"], fields["low"], fields["high"], True)
    if "percent" in fields:
        return Value(fields["percent"] / 100, fields["low"] / 100, fields["high"] / 100, True)
    per = 1 if key.name in WHOLE else key.pages or 1
    return Value(fields["ticks"] / per)


def _derive(values: dict[Key, Value]) -> None:
    """What each touched page adds to a fork."""
    for key, value in list(values.items()):
        base = values.get(Key(f"{key.name}_untouched"))
        if key.name in FORKS and base and not key.mapped and key.pages >= GOAL_PAGES:
            values[replace(key, name=f"{key.name}_marginal")] = Value(value.number - base.number / key.pages)


def _wall(runs: list[Run]) -> Value:
    seconds = [run.seconds for run in runs]
    return Value(median(seconds), min(seconds), max(seconds))


def collect(runs: list[Run]) -> Values:
    """All figures, in the order in which the program gave them. Only counted ticks are instructions,
    so a boot's ticks count there alone, and its seconds where nothing is counted."""
    found: Values = {}
    for run in runs:
        values = found.setdefault((run.place, run.side), {})
        if run.mode == "boot":
            same = [r for r in runs if (r.place, r.side, r.mode) == (run.place, run.side, run.mode)]
            values[Key("boot_seconds")] = _wall(same)
            continue
        values.update({key: _value(key, fields) for key, fields in run.figures.items()
                       if run.mode == "counted" or key.name != "boot"})
    for values in found.values():
        _derive(values)
    return found


def goal(place: str, key: Key) -> float | None:
    """The goal for this figure, if it has one."""
    if key == Key("faults_disjoint_speedup", threads=2):
        return SPEEDUP if place == "qemu" else None
    if key.mapped or key.threads or key.pages not in (0, GOAL_PAGES):
        return None
    return LIMITS[place].get((key.name, key.where))


def met(place: str, key: Key, value: Value) -> bool | None:
    limit = goal(place, key)
    if limit is None:
        return None
    return value.number >= limit if value.rate else value.number <= limit


def ratio(values: Values, place: str, key: Key) -> float | None:
    """How many times better than the reference Pteron is."""
    ours = values.get((place, "pteron"), {}).get(key)
    theirs = values.get((place, REFERENCE), {}).get(key)
    if not ours or not theirs or ours.number <= 0 or theirs.number <= 0:
        return None
    return ours.number / theirs.number if ours.rate else theirs.number / ours.number


def keys(values: Values) -> list[Key]:
    """Every key of any side, in the first one's order."""
    return list(dict.fromkeys(key for figures in values.values() for key in figures))
