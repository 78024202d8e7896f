"""./pteron trace: what is in the file is what happened, in words, and by the rules of its format.

Oracles that do not share code with the trace: the kernel's own counters, of a run of which the rings keep all; and the
rules in trace_format.py."""

import csv
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import trace_format

from harness import trace, trace_lines
from harness.catalogue import ROOT
from harness.machine import Config
from harness.runner import run
from harness.trace_lines import Event, Trace

RING = 60_000  # events of each CPU: more than the runs below have
WAYS = [("qemu", "native"), ("qemu", "deferred"), ("xen", "xen")]


def _records_of(result) -> tuple[Trace, list[dict]]:
    recorded = trace_lines.parse(result.output.kernel_lines)
    return recorded, trace_format.check(trace.as_json(trace.records_of(recorded)))


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way[1])
def whole(request, debug):
    """A run of which the trace has all."""
    on, backend = request.param
    result = run(Config(build=debug, on=on, backend=backend, cpus=4, suite="zap", rounds=5, icount=4,
                        append=f"trace=on ring={RING}"), patience=180)
    assert result.verdict == "passed", result.told()
    recorded, records = _records_of(result)
    assert not any(recorded.lost.values()) and len(recorded.events) == recorded.announced > 0
    return result, records


def _begun(records: list[dict]) -> Counter:
    """What began, without what went on after its task had not run for a while."""
    return Counter(r["name"] for r in records if r["ph"] == "B" and "goes on" not in r.get("args", {}))


def test_all_that_was_counted_is_there(whole):
    """Counters run from the first instruction, the trace from the first task on: before it nobody counts these."""
    result, records = whole
    counted, begun, instants = result.output.counters, _begun(records), Counter(r["name"] for r in records if r["ph"] == "i")
    assert begun["lazy section"] == counted["lazy_sections"] > 0
    assert begun["batch"] == counted["batches"] > 0
    entries = [r["args"]["entries"] for r in records if r["ph"] == "B" and r["name"] == "batch" and "goes on" not in r["args"]]
    assert not Counter(filter(None, entries)) - Counter({int(n): many for n, many in result.output.histogram.items()})
    assert any(entries) == (result.config.backend != "native")  # there nothing is queued but the invalidation
    ended = Counter(r["args"]["result"] for r in records if r["ph"] == "E" and "result" in r.get("args", {}))
    assert ended["ok"] == counted["page_faults"] > 0
    waits = sum(n for name, n in begun.items() if name.startswith("wait for LOCK_") and name != "wait for LOCK_HYPERVISOR")
    assert waits == counted["lock_contended"] > 0
    inside = [r for r in records if r["name"] == "preempted" and r["args"]["inside"] == "a lazy section"]
    assert len(inside) == counted["sections_preempted"] > 0 and instants["preempted"] > len(inside)
    assert 0 <= counted["ipis"] - instants["ipi"] <= 16  # those that start CPUs
    if result.config.on == "xen":
        assert not begun["shootdown"] and 0 <= counted["hypercalls"] - instants["hypercall"] < counted["hypercalls"] / 4  # the kernel's own tables
    else:
        assert begun["shootdown"] == counted["shootdowns"] > 0


def test_arrows_lead_from_a_call_to_its_answers(whole):
    """Each CPU that a shootdown waits for answers it, while it waits."""
    result, records = whole
    calls = {}
    for record in records:
        if record["ph"] == "B" and record["name"] in ("shootdown", "cross-call"):
            calls.setdefault(record["args"]["task"], []).append((record["name"], record["args"]["CPUs"]))
    arrows = sum(r["ph"] == "s" for r in records)
    assert arrows == sum(cpus for of_task in calls.values() for _, cpus in of_task)
    assert arrows == sum(n for name, n in _begun(records).items() if name.startswith("answer to a "))
    if result.config.on == "qemu":
        waits = [r["args"]["waits for"] for r in records if r["ph"] == "E" and r["name"] == "flush_tlb" and r.get("args")]
        assert waits and all(re.fullmatch(r"CPU \d(, CPU \d)*", w) for w in waits)


def test_sections_say_what_was_in_them(whole):
    _, records = whole
    told = [r["args"] for r in records if r["ph"] == "E" and r["name"] == "lazy section" and r.get("args")]
    assert sum(t.get("entries changed", 0) for t in told) > 0 and sum(t.get("batches", 0) for t in told) > 0


def test_tasks_suites_and_cases_have_names(whole):
    _, records = whole
    names = {re.sub(r" \d+$", "", r["name"]) for r in records if r["ph"] == "B"}
    assert {"zap", "main", "auditor", "idle/0", "idle/3", "suite zap", "case zap"} <= names
    unnamed = [r["ts"] for r in records if r["ph"] == "B" and re.fullmatch(r"task \d+", r["name"])]
    assert len(unnamed) <= 2  # they ran before the first event, and have ended


def test_a_fault_of_a_program_is_no_page_fault(boot):
    result = boot(suite="doors", cpus=1, icount=4, append="trace=on ring=100000")
    recorded, records = _records_of(result)
    killed = [r["args"]["why"] for r in records if r["name"] == "fault of a program"]
    assert not recorded.lost[0] and len(killed) == result.output.counters["killed_tasks"] > 0
    assert {"access without a mapping or right", "divide error", "general protection"} <= set(killed)
    refused = [r for r in records if r["ph"] == "E" and r.get("args", {}).get("result") == "no mapping or right"]
    assert 0 < len(refused) <= result.output.counters["refused_faults"]


def _slices(records: list[dict], track: int) -> list[str]:
    return [r["name"] for r in records if r["ph"] == "B" and r["tid"] == track]


def test_from_and_to(boot):
    recorded, everything = _records_of(boot(suite="batch,pgtable,trace", cpus=2, icount=4, append=f"trace=on ring={RING}"))
    assert [n for n in _slices(everything, trace.SUITES_TRACK) if n.startswith("suite ")] == [
        "suite trace", "suite batch", "suite pgtable"]

    def part(*limits: str | None) -> list[dict]:
        return trace_format.check(trace.as_json(trace.records_of(recorded, *limits)))

    assert _slices(part("trace:stops", "trace:stops"), trace.SUITES_TRACK) == ["suite trace", "case stops"]
    assert "suite trace" not in _slices(from_second := part("batch", None), trace.SUITES_TRACK)
    assert "suite pgtable" in _slices(from_second, trace.SUITES_TRACK)
    assert "suite pgtable" not in _slices(part(None, "batch"), trace.SUITES_TRACK)
    begin, end = (next(r["ts"] for r in everything if r["ph"] == "B" and r["name"] == f"suite {s}") for s in ("batch", "pgtable"))
    times = [r["ts"] for r in part(str(begin / 1000), str(end / 1000)) if "ts" in r]
    assert times[0] == pytest.approx(begin) and times[-1] == pytest.approx(end) and begin < times[len(times) // 2] < end
    assert _slices(part(str(begin / 1000), None), 0)[0].startswith("main ")  # it ran already
    assert part("99999999", None) == [r for r in everything if r["ph"] == "M"]
    with pytest.raises(LookupError, match="pgtable:no_case is neither"):
        part("pgtable:no_case", None)


def test_forged_and_broken_lines():
    lines = ["# trace began 1000", "# trace kind 0 set_pte", "# trace kind 1 lock_wait", "# trace text ff80 LOCK_PTE", "# trace task 7 main",
             "# trace ring 2 5 3", "| # trace = A1,2", "# trace = A10,1000,8000000000001067,1,7 Bffffffffffffffff,1230,800000000000efe7",
             "# trace = A2,,ff80"]
    recorded = trace_lines.parse(lines)
    assert recorded.events == [
        Event(2, 15, 7, "lock_wait", 1, 0x230, 0xFF80, "LOCK_PTE"),
        Event(2, 16, 7, "set_pte", 1, 0x1000, 0x8000000000001067), Event(2, 17, 7, "set_pte", 1, 0x230, 0)]
    assert recorded.lost == {2: 5} and recorded.announced == 3 and recorded.ring_for_all == 8 and recorded.began == 1000


def _pteron(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["./pteron", "trace", "--deterministic", *args], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_last_events_are_kept_and_the_rest_is_lost(tmp_path):
    """And the ring that is said to hold all, does. With that the run goes another way, but not for long."""
    run_it = ["--suite", "trace,zap", "--rounds", "2", "--output", str(tmp_path / "t.json")]
    done = _pteron(*run_it)
    assert done.returncode == 0 and "older ones are lost" in done.stdout, done.stdout + done.stderr
    needed = re.search(r"--ring (\d+) keeps all", done.stdout)[1]
    assert "suite trace" not in _slices(trace_format.check((tmp_path / "t.json").read_text()), trace.SUITES_TRACK)
    done = _pteron(*run_it, "--ring", str(int(needed) * 5 // 4), "--from", "trace", "--to", "trace")
    assert done.returncode == 0 and "lost" not in done.stdout and "those from trace to trace" in done.stdout, done.stdout + done.stderr
    records = trace_format.check((tmp_path / "t.json").read_text())
    assert _slices(records, trace.SUITES_TRACK)[:2] == ["suite trace", "case of_a_page"]
    assert "suite zap" not in _slices(records, trace.SUITES_TRACK)


@pytest.mark.parametrize("on", ["qemu", "xen"])
def test_a_ring_must_fit(on, tmp_path):
    """Up to what is said to fit, it does."""
    run = ["--on", on, "--cpus", "2", "--suite", "pgtable", "--output", str(tmp_path / "t.json")]
    done = _pteron(*run, "--ring", "100000000")
    assert done.returncode == 2 and "more memory" in done.stdout, done.stdout + done.stderr
    most = int(re.search(r"ring=100000000 takes 7629 MiB for 2 CPUs, .* at most ring=(\d+)", done.stdout)[1])
    assert most > 100_000
    assert _pteron(*run, "--ring", str(most + most // 50)).returncode == 2
    done = _pteron(*run, "--ring", str(most))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("limit", ["-1", "soon", "nosuite:case"])
def test_a_limit_that_is_none(limit):
    done = _pteron(f"--from={limit}")
    assert done.returncode == 2 and "neither milliseconds nor SUITE or SUITE:CASE" in done.stderr


def test_a_suite_that_did_not_run_is_no_limit(tmp_path):
    done = _pteron("--suite", "pgtable", "--from", "zap", "--output", str(tmp_path / "t.json"))
    assert done.returncode == 2 and "zap is neither" in done.stderr and not (tmp_path / "t.json").exists()


def test_words_are_those_of_the_sources():
    """What the harness calls bits, vectors and results by."""
    interrupt_h = (ROOT / "kernel/cpu/interrupt.h").read_text(encoding="utf-8")
    vectors = {int(number, 16) for number in re.findall(r"#define VECTOR_\w+ (0x\w+)", interrupt_h)}
    assert vectors - {0xFF} == set(trace.VECTORS) - {2}
    fault_h = (ROOT / "mm/range/fault.h").read_text(encoding="utf-8")
    results = re.findall(r"^\tFAULT_\w+,", re.search(r"enum fault_result \{(.*?)\}", fault_h, re.S)[1], re.M)
    assert len(results) == len(trace.RESULTS) + 1  # FAULT_RETRY never ends a fault
    assert f"#define LAZY_DEPTH_MASK {trace.LAZY_DEPTH_MASK:#08x}u" in (ROOT / "mm/lazy/lazy_mmu.h").read_text(encoding="utf-8")
    assert f"{trace.SHOOTDOWN}(void *arg)" in (ROOT / "mm/lazy/tlb.c").read_text(encoding="utf-8")
    kinds = set(re.findall(r'X\(\w+, +"(\w+)"', (ROOT / "kernel/debug/trace.h").read_text(encoding="utf-8")))
    assert set(trace.SLICES) | {f"{kind}_end" for kind in trace.SLICES} | set(trace.INSTANTS) < kinds


def _asked(shell: str, file: Path, query: str) -> list[list[str]]:
    """What Perfetto says of @file: the rows, each word without its quotes."""
    (query_file := file.with_suffix(".sql")).write_text(query)
    done = subprocess.run([shell, "-q", query_file, file], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return list(csv.reader(done.stdout.strip().splitlines()))[1:]


def test_perfetto_reads_it(whole, tmp_path):
    """Each slice, instant and arrow arrives, on a track with its name, and Perfetto finds no fault in the file."""
    shell = shutil.which("trace_processor_shell") or shutil.which("trace_processor")
    if not shell:
        pytest.skip("no trace_processor of Perfetto in PATH: Debian has none")
    _, records = whole
    file = tmp_path / "trace.json"
    file.write_text(trace.as_json(records), encoding="utf-8")
    faults = _asked(shell, file, "select name, value from stats where severity in ('error', 'data_loss') and value > 0;")
    assert not faults
    seen = {(track, name): int(n) for track, name, n in _asked(shell, file, """
        select thread.name, slice.name, count(*) from slice join thread_track on slice.track_id = thread_track.id
        join thread using (utid) group by thread.name, slice.name;""")}
    tracks = {r["tid"]: r["args"]["name"] for r in records if r["name"] == "thread_name"}
    assert seen == Counter((tracks[r["tid"]], r["name"]) for r in records if r["ph"] in "Bi")
    assert _asked(shell, file, "select count(*) from slice where dur < 0;") == [["0"]]
    assert int(_asked(shell, file, "select count(*) from flow;")[0][0]) == sum(r["ph"] == "s" for r in records)
