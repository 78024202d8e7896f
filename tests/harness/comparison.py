"""Figures of several sides beside each other: what follows from them, their ratios, and the goals."""

from dataclasses import dataclass, replace
from statistics import median

from .against import PTERON, Key, Run, is_reference
from .floor import PARTS, floor_of
from .goals import FLOOR_MOST, GOAL_PAGES, LIMITS, SPEEDUP

# Operations whose cost is not a page's: the whole of it stands in the table.
WHOLE = ("cow_first_write", "first_write_after_mprotect", "mprotect_one_page_back")
FORKS = ("fork", "fork_parent")
# What makes a fault for each page, or several: its dearest call is a fault, up to as many pages as a table has.
ONE_BY_ONE = ("touch", "touch_fresh", "read_touch", "cow_copy", "cow_reuse", "write_after_mprotect",
              "fork_and_write", "shell", "fork_server", "snapshot_1", "snapshot_10", "snapshot_50")
WORST_MOST = 2  # times what the dearest single call takes on the Linux that Pteron is compared with


@dataclass(frozen=True)
class Value:
    """A figure of one side in one place: a cost, of which less is better, or a rate. @worst: the dearest single call, in all.
    @floor: what no kernel can avoid of it, in the unit of @number."""
    number: float
    low: float = 0.0
    high: float = 0.0
    rate: bool = False
    worst: int = 0
    floor: float = 0.0


Values = dict[tuple[str, str], dict[Key, Value]]  # by place and side


def _add_floors(values: dict[Key, Value], metered: dict[Key, dict[str, int]]) -> None:
    parts = {name: metered[Key(name)]["ticks"] for name in PARTS}
    for key, fields in metered.items():
        if key in values and "c" in fields:
            values[key] = replace(values[key], floor=floor_of(key.name, key.pages, key.where, fields, parts) / _per(key))


def _per(key: Key) -> int:
    return 1 if key.name in WHOLE else key.pages or 1


def _value(key: Key, fields: dict[str, int]) -> Value:
    if "rate" in fields:
        return Value(fields["rate"], fields["low"], fields["high"], True)
    if "percent" in fields:
        return Value(fields["percent"] / 100, fields["low"] / 100, fields["high"] / 100, True)
    return Value(fields["ticks"] / _per(key), worst=fields.get("worst", 0))


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
        if run.mode == "metered":
            _add_floors(values, run.figures)
            continue
        values.update({key: _value(key, fields) for key, fields in run.figures.items()
                       if run.mode == "counted" or key.name != "boot"})
    for values in found.values():
        _derive(values)
    return found


def floor_ratio(value: Value | None) -> float | None:
    """How many times what no kernel can avoid: at most FLOOR_MOST."""
    return value.number / value.floor if value and value.floor else None


def above_floor(values: Values) -> list[tuple[str, Key]]:
    """Place and key of what takes more than FLOOR_MOST of its floor, of the sizes that the documents have."""
    return [(place, key) for (place, _), figures in values.items() for key, value in figures.items()
            if key.pages in (0, GOAL_PAGES) and not key.mapped and (floor_ratio(value) or 0) > FLOOR_MOST[place]]


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


def sides_of(values: Values) -> list[str]:
    """Of the sides, each once."""
    return list(dict.fromkeys(side for _, side in values))


def _pair(values: Values, place: str, key: Key) -> tuple[Value | None, Value | None]:
    """Pteron's figure, and that of the Linux that it is compared with."""
    reference = next(filter(is_reference, sides_of(values)), None)
    return values.get((place, PTERON), {}).get(key), values.get((place, reference), {}).get(key) if reference else None


def worst_ratio(values: Values, place: str, key: Key) -> float | None:
    """How many times Linux's dearest single call Pteron's takes: at most WORST_MOST."""
    ours, theirs = _pair(values, place, key)
    return ours.worst / theirs.worst if ours and theirs and ours.worst and theirs.worst else None


def too_dear(values: Values) -> list[tuple[str, Key]]:
    """Place and key of each dearest call that takes more than WORST_MOST of Linux's."""
    return [(place, key) for (place, side), figures in values.items() if side == PTERON
            for key in figures if (worst_ratio(values, place, key) or 0) > WORST_MOST]


def ratio(values: Values, place: str, key: Key) -> float | None:
    """How many times better than the reference Pteron is."""
    ours, theirs = _pair(values, place, key)
    if not ours or not theirs or ours.number <= 0 or theirs.number <= 0:
        return None
    return ours.number / theirs.number if ours.rate else theirs.number / ours.number


def keys(values: Values) -> list[Key]:
    """Every key of any side, in the first one's order."""
    return list(dict.fromkeys(key for figures in values.values() for key in figures))
