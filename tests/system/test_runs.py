"""Runs and what is left of them: which suites, why one failed, many at once, logs, JSON and JUnit."""

import json
import os
import re
import subprocess
import xml.etree.ElementTree as ET

import pytest

from harness import catalogue, many, options, runs
from harness.catalogue import ROOT
from harness.judge.engine import Place
from harness.ktap import Output
from harness.machine import Config
from harness.runner import Result
from harness.why import why

FAST = ["--suite", "vma", "--accel", "tcg", "--mem", "128"]


def pteron(*args, **environment):
    return subprocess.run(["./pteron", *args], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
                          env={**os.environ, **environment})


def names(**which):
    return {s.name for s in catalogue.suites() if all(getattr(s, k) == v for k, v in which.items())}


@pytest.mark.parametrize("text, chosen", [
    ("zap", {"zap"}),
    ("m*", {n for n in names() if n.startswith("m")}),
    ("m*,!mix", {n for n in names() if n.startswith("m")} - {"mix"}),
    ("stress", names(folder="stress")),
    ("stress,vma,!zap,!f*", names(folder="stress") - {"zap"} - {n for n in names() if n.startswith("f")} | {"vma"}),
    ("!mix", names(default=True) - {"mix"}),
    ("bench,!costs", names(folder="bench") - {"costs"}),
])
def test_choice_of_suites(text, chosen):
    assert set(options.suites_of(text).split(",")) == chosen


@pytest.mark.parametrize("text", ["default", "all"])
def test_the_kernels_own_lists(text):
    assert options.suites_of(text) == text


@pytest.mark.parametrize("text, says", [("zapp", "did you mean zap"), ("zap,!zap", "leaves no suite"), ("q*", "there is no suite")])
def test_choice_is_refused(text, says):
    with pytest.raises(options.UsageError, match=says):
        options.suites_of(text)


def output_of(text: str) -> Output:
    output = Output()
    for line in text.splitlines():
        output.feed(line)
    return output


FLOOD = """KTAP version 1
1..1
    KTAP version 1
    # Subtest: tables
    1..2
    ok 1 fine
    # audit: entry 8000000 for 80001000 has rights that its VMA (1) has not
    # history of the page at 80001000 in mm 26, and of its frame; TSC ticks before the last:
    #   10 before: cpu 0 task 4 mm 26 set_pte 80001000 8000000
    # audit: entry 8001000 for 80002000 has rights that its VMA (1) has not
    # audit: entry 8002000 for 80003000 has rights that its VMA (1) has not
|     # history of the page at 7000 in mm 2, and of its frame; TSC ticks before the last:
| # FAIL tables pid 7 tid 7: page 7000: expected 1, found 2
    # tests/stress/stress.c:178: expected process_wait(pid[i]) == 0, found 100 and 0
    # tests/stress/stress.c:178: expected process_wait(pid[i]) == 0, found 101 and 0
    not ok 2 tables
not ok 1 tables
# verdict failed
"""


def test_why_the_first_complaint_and_the_kinds():
    assert why("failed", output_of(FLOOD)) == [
        "why: suite tables, case tables",
        "  audit: entry 8000000 for 80001000 has rights that its VMA (1) has not (and 2 more of this kind)",
        "    history of the page at 80001000 in mm 26, and of its frame; TSC ticks before the last:",
        "      10 before: cpu 0 task 4 mm 26 set_pte 80001000 8000000",
        "  FAIL tables pid 7 tid 7: page 7000: expected 1, found 2",
        "  tests/stress/stress.c:178: expected process_wait(pid[i]) == 0, found 100 and 0 (and 1 more of this kind)"]


def test_why_a_panic():
    text = "    # Subtest: zap\n# panic: nothing is left\n# cpu 1 task 10 zap preempt 0\n# rip 0008:ff zap+0x1\n# verdict crashed\n"
    assert why("crashed", output_of(text)) == [
        "why: panic in suite zap: nothing is left", "  cpu 1 task 10 zap preempt 0", "  rip 0008:ff zap+0x1"]


@pytest.mark.parametrize("said, reason", [
    ("# init: h was ended by signal 11\n", ["why: the program was ended by signal 11"]),
    ("# error: module: h: the archive has no such file\n# init: h exited with status 127\n",
     ["why: the program exited with status 127", "  error: module: h: the archive has no such file"]),
])
def test_why_a_program(said, reason):
    assert why("failed", output_of(said + "# verdict failed\n")) == reason


@pytest.mark.parametrize("more", ["", "#", "# the machine can be", "# the machine can be switched off now"])
def test_what_depends_on_the_hosts_speed_is_no_output(more):
    assert output_of(FLOOD + more + "\n").raw == output_of(FLOOD).raw


def test_why_nothing_failed():
    assert not why("passed", output_of("KTAP version 1\n1..0\n# verdict passed\n"))


def result(seed: int, verdict: str) -> Result:
    return Result(Config(seed=seed), output_of(FLOOD), verdict, 0)


def test_tally_says_the_first_seed_of_each_kind():
    tally = many.Tally([result(1, "passed"), result(2, "failed"), result(3, "failed"), result(4, "hung")])
    assert tally.exit_code == 3
    assert tally.text() == ("4 runs: 2 failed (first: seed 2), 1 passed, 1 hung (first: seed 4); "
                            "0 distinct orders of lock acquisitions")


def test_seeds_and_repeats():
    def seeds(**how):
        return [c.seed for c in many.configurations(Config(seed=5), **how)]
    assert seeds(seeds=3, repeat=2) == [5, 6, 7, 5, 6, 7]
    endless = many.configurations(Config(seed=5), seeds=1, repeat=0)
    assert [next(endless).seed for _ in range(9)] == [5] * 9


def test_until_one_fails(monkeypatch):
    """None begins after it, and side by side never more than asked for."""
    at_once, most = [], []

    def fake(config):
        at_once.append(config)
        most.append(len(at_once))
        verdict = "failed" if config.seed == 4 else "passed"
        at_once.remove(config)
        return result(config.seed, verdict)

    monkeypatch.setattr(many, "run", fake)
    tally = many.run_all(many.configurations(Config(seed=1), 100, 1), Place(2), True, lambda _: None)
    assert 4 <= len(tally.results) <= 6 and tally.exit_code == 1 and max(most) <= 2


def test_logs_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "KEPT", 3)
    with pytest.raises(runs.NoRun):
        runs.last_failure(tmp_path)
    for seed in range(1, 6):  # a word that was misspelt is no failure to go back to
        log = runs.keep(result(seed, {4: "failed", 5: "usage"}.get(seed, "passed")), tmp_path)
        assert log.read_text().endswith(f"replay: {Config(seed=seed).replay()}\n")
    assert sorted(p.name for p in tmp_path.glob("*.log")) == ["0003-passed.log", "0004-failed.log", "0005-usage.log"]
    entry = runs.last_failure(tmp_path)
    assert entry["replay"] == Config(seed=4).replay() and entry["failed"] == ["tables"]


def test_a_failure_from_its_end_to_its_replay(tmp_path):
    """What the last lines say; replay and --failed know it; JUnit has the complaint."""
    junit, own = tmp_path / "r.xml", {"PTERON_RUNS": str(tmp_path / "runs")}
    done = pteron("run", "--deterministic", "--suite", "vma,clock_rate", "--bug", "clock-before-its-stamp", "--junit", str(junit), **own)
    last = done.stdout.rstrip().split("\n\n")[-1].splitlines()
    assert done.returncode == 1 and last[0] == "why: suite clock_rate, case time_pages_tell", done.stdout
    assert last[-2].startswith("replay: ./pteron run") and (ROOT / last[-1].removeprefix("log: ")).exists()
    cases = {(c.get("classname"), c.get("name")): c for c in ET.parse(junit).iter("testcase")}
    assert "pvclock_ticks_to_ns" in cases["clock_rate", "time_pages_tell"].find("failure").text
    assert cases["vma", "merging"].find("failure") is None
    again = pteron("replay", **own)
    assert again.returncode == 1 and "case time_pages_tell" in again.stdout and "vma " in again.stdout
    from_junit = pteron("replay", str(junit), **own)
    assert from_junit.returncode == 1 and "case time_pages_tell" in from_junit.stdout
    refused = pteron("run", "--failed", "--mem", "100", **own)
    assert refused.returncode == 2 and "not --mem" in refused.stderr
    narrowed = pteron("run", "--failed", "--suite", "clock_rate", "--case", "dates", **own)
    assert narrowed.returncode == 0 and "did not catch clock-before-its-stamp" in narrowed.stdout
    failed = pteron("run", "--failed", **own)
    assert failed.returncode == 1 and "case time_pages_tell" in failed.stdout and "\nvma " not in failed.stdout


def test_one_standard_output():
    done = pteron("run", *FAST, "--json", "-", "--junit", "-")
    assert done.returncode == 2 and "there is one standard output" in done.stderr


def test_json_says_where_it_comes_from(tmp_path):
    path = tmp_path / "r.json"
    assert pteron("run", *FAST, "--json", str(path)).returncode == 0
    got = json.loads(path.read_text())
    assert got["schema"] == 1 and got["qemu"].startswith("QEMU emulator") and len(got["commit"]) == 40
    assert got["suites"][0]["cases"][0] == {"name": "against_a_model", "verdict": "passed"}
    assert got["accel"] == "tcg" and got["boot"] == "pvh" and got["seconds"] > got["suites"][0]["seconds"] >= 0


def test_seeds_side_by_side(tmp_path):
    path = tmp_path / "r.json"
    done = pteron("run", *FAST, "--deterministic", "--seeds", "3", "--jobs", "2", "--json", str(path))
    assert done.returncode == 0 and "3 runs: 3 passed" in done.stdout, done.stdout + done.stderr
    assert {r["seed"] for r in json.loads(path.read_text())["runs"]} == {1, 2, 3}


def test_a_skip_has_its_reason(boot):
    """In the directive, as KTAP wants it."""
    lines = boot(cpus=1, mem=128, suite="race-exit").output.lines
    assert "    ok 1 futex_and_end # SKIP a new thread needs a CPU of its own" in lines


def test_list_as_json():
    got = json.loads(pteron("list", "--json").stdout)
    assert {s["name"] for s in got["suites"]} == names() and "native" in got["backends"]


def test_first_steps():
    """./pteron alone says what to do, in ten lines or so; the commands that it names exist."""
    done = pteron()
    assert done.returncode == 2 and len(done.stdout.splitlines()) <= 11
    for command in re.findall(r"^  (\./pteron [\w -]+?)  ", done.stdout, re.M):
        assert pteron(*command.split()[1:], "--help").returncode == 0, command


def test_chosen_cases(boot):
    """Only they run, of the suites that have any; and they do what they do among all."""
    result = boot(cpus=1, mem=128, suite="vma,pgtable,clock_rate", case="merging,dates")
    assert result.verdict == "passed", result.told()
    assert [(s.name, s.planned, [c.name for c in s.cases]) for s in result.output.suites] == [
        ("clock_rate", 1, ["dates"]), ("vma", 1, ["merging"])]


def test_many_names_fit(boot):
    """All suites but one: more names than fit the old limit."""
    suites = options.suites_of("all,!costs")
    assert len(suites) > 512
    assert boot(cpus=1, mem=128, suite=suites, case="merging").verdict == "passed"


def test_arguments_for_qemu(tmp_path):
    log = tmp_path / "qemu.log"
    done = pteron("run", *FAST, "--qemu-arg=-d", "--qemu-arg=guest_errors", "--qemu-arg=-D", f"--qemu-arg={log}", "--seed", "3")
    assert done.returncode == 0 and log.exists()


def test_show_command():
    done = pteron("run", *FAST, "--show-command")
    assert done.returncode == 0 and "qemu-system-x86_64" in done.stdout and "-nodefaults" in done.stdout
