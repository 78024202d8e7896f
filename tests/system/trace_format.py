"""Whether a file keeps the rules of Google's "Trace Event Format" for what ./pteron trace writes: duration, instant, flow
and metadata events of the JSON object format; and the house's own, that values are words.

A viewer is lenient: Perfetto drops what does not fit and shows the rest. This is not."""

import json
import re

METADATA = {"process_name": ("name", str), "thread_name": ("name", str), "thread_sort_index": ("sort_index", int)}
FIELDS = {"B": {"args"}, "E": {"args"}, "i": {"args", "s"}, "s": {"cat", "id"}, "f": {"cat", "id", "bp"}, "M": {"args"}}
COMMON = {"ph", "pid", "tid", "name", "ts"}


class _Track:
    """One thread of the file."""

    def __init__(self):
        self.open, self.last = [], float("-inf")

    def take(self, record: dict) -> None:
        """The next record that has a time."""
        assert record["ts"] >= self.last, f"time goes back: {record}"
        self.last = record["ts"]
        if record["ph"] == "B":
            self.open.append(record["name"])
        elif record["ph"] == "E":
            assert self.open, f"nothing is open: {record}"
            assert self.open.pop() == record["name"], f"the slice that is open is another: {record}"
        elif record["ph"] in "sf":
            assert self.open, f"an arrow without a slice: {record}"


def _check_fields(record: dict) -> None:
    kind = record.get("ph")
    assert kind in FIELDS, f"no such phase: {record}"
    assert set(record) <= COMMON | FIELDS[kind], f"fields that the phase has not: {record}"
    assert isinstance(record.get("name"), str) and record["name"] and isinstance(record.get("pid"), int), record
    if kind != "M":
        assert record["pid"] != record["tid"], f"Perfetto would take it for thread 0: {record}"
        assert isinstance(record.get("tid"), int) and isinstance(record.get("ts"), (int, float)), record
    if kind == "i":
        assert record.get("s") in ("t", "p", "g"), record


def _check_words(record: dict) -> None:
    """Numbers count something, or name a task or an address space; all else is said in words, addresses in hex."""
    for key, value in record.get("args", {}).items():
        assert re.fullmatch(r"[A-Za-z][A-Za-z ]*", key), record
        if isinstance(value, int):
            assert 0 <= value < 1 << 40, f"{key} is raw: {record}"
        else:
            assert isinstance(value, str) and value and not value.isdigit() and "unknown" not in value, f"{key} is raw: {record}"


def _check_metadata(records: list[dict]) -> None:
    told = [(r["name"], r.get("tid")) for r in records if r["ph"] == "M"]
    assert len(told) == len(set(told)), "a name is given twice"
    for record in records:
        if record["ph"] == "M":
            key, kind = METADATA[record["name"]]
            assert list(record["args"]) == [key] and isinstance(record["args"][key], kind), record
        else:
            assert ("thread_name", record["tid"]) in told, f"a track without a name: {record}"


def _check_arrows(records: list[dict]) -> int:
    begun: dict[int, dict] = {}
    ended = set()
    for record in records:
        if record["ph"] == "s":
            assert record["id"] not in begun, f"begun twice: {record}"
            begun[record["id"]] = record
        elif record["ph"] == "f":
            start = begun[record["id"]]
            assert record["id"] not in ended, f"ended twice: {record}"
            assert (start["name"], start["cat"]) == (record["name"], record["cat"]) and start["ts"] <= record["ts"], record
            assert record["bp"] == "e" and record["tid"] != start["tid"], record
            ended.add(record["id"])
    assert set(begun) == ended, "arrows that lead nowhere"
    return len(ended)


def check(text: str) -> list[dict]:
    """The records of the file @text, which keeps all rules."""
    whole = json.loads(text)
    assert set(whole) == {"displayTimeUnit", "traceEvents"} and whole["displayTimeUnit"] in ("ms", "ns")
    records, tracks = whole["traceEvents"], {}
    for record in records:
        _check_fields(record)
        if record["ph"] != "M":
            _check_words(record)
            tracks.setdefault(record["tid"], _Track()).take(record)
    assert not [name for track in tracks.values() for name in track.open], "slices that never end"
    _check_metadata(records)
    _check_arrows(records)
    return records
