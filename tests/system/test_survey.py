"""./pteron survey: which runs it makes, that none is made twice or lost, its table, and the bisection. test_hosts.py has other hosts."""

import itertools
import json
import signal
import subprocess

import pytest

from harness.catalogue import ROOT
from harness.cli import _parse
from harness.commands.survey import _plan
from harness.judge.engine import Job, Place
from harness.judge.survey import Plan, Platform, Survey, bisect
from harness.judge.survey_table import Table, markdown


def pteron(*args: str, timeout: int = 300) -> subprocess.CompletedProcess:
    return subprocess.run(["./pteron", *args], cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout)


# --- the bisection ---

@pytest.mark.parametrize("n", range(2, 12))
def test_bisect_finds_both_edges(n):
    """For each run of bad versions that there can be: every edge, or that none is bad; and an end costs few tries."""
    for a, b in itertools.combinations(range(n + 1), 2):
        tried = []

        def is_bad(version: str, a=a, b=b, tried=tried) -> bool:
            tried.append(version)
            return a <= int(version) < b
        found = bisect([str(i) for i in range(n)], is_bad)
        edges = {(str(i), str(i + 1)) for i in range(n - 1) if (a <= i < b) != (a <= i + 1 < b)}
        assert set(found.edges()) == edges and len(tried) == len(set(tried))
        if b == n and a:  # bad to the end: halves suffice
            assert len(tried) <= 2 + n.bit_length()


def test_bisect_looks_into_the_widest_gap_first():
    tried = []
    bisect([str(i) for i in range(9)], lambda version: tried.append(version))
    assert tried[:5] == ["0", "8", "4", "2", "6"]


def test_bisect_where_all_are_good():
    found = bisect(["a", "b", "c"], lambda version: False)
    assert found.edges() == [] and found.verdicts == {0: False, 1: False, 2: False}


# --- the matrix and its table ---

PLAN = Plan(("linux-1", "linux-2"), (Platform("qemu"), Platform("xen", xen="4.20", cpus=4)), seeds=(1, 2), suite="vmap", kernel_append="preempt=full")


def test_each_run_has_its_own_name_and_words():
    jobs = [PLAN.job(cell, seed) for cell in PLAN.cells() for seed in PLAN.seeds]
    assert len({job.key for job in jobs}) == 8 and all(len(job.key) < 200 for job in jobs)
    assert jobs[-1].arguments == ("--kernel", "linux-2", "--on", "xen", "--cpus", "4", "--xen", "4.20", "--suite", "vmap", "--seed", "2",
                                  "--deterministic", "--kernel-append", "preempt=full")


def test_platforms_are_a_product_and_more():
    """What is told twice is one."""
    words = ["survey", "--on", "qemu,xen", "--xen-append", "", "--xen-append", "sched=credit2", "--rounds", "4",
             "--platform", "--on xen --xen 4.20 --qemu 11.1 --cpus 8", "--platform", "--on qemu"]
    plan = _plan(_parse(words))
    assert [p.name for p in plan.platforms] == ["qemu", "xen", "xen, sched=credit2", "xen 4.20, QEMU 11.1, 8 CPUs"]
    assert plan.job(plan.cells()[-1], 1).arguments[-2:] == ("--rounds", "4")


def result(verdict: str, seed: int, why: str = "") -> dict:
    return {"verdict": verdict, "why": [f"why: {why}"] if why else [], "signature": "", "suite_seconds": 3.5, "seed": seed, "kernel": "linux-1",
            "on": "xen", "date": "2026-11-30T00:00:00Z", "qemu": "QEMU 7.2", "replay": f"./pteron run --seed {seed}"}


@pytest.fixture
def survey(tmp_path):
    """PLAN with some results: two ways to fail in one cell, one of them in another, one cell not begun."""
    found = Survey(PLAN, tmp_path, Place(), lambda *_: None)
    bad, mixed, good, _ = PLAN.cells()
    for cell, seed, data in ((bad, 1, result("crashed", 1, "BUG <at> 0xffffffff81234567 & more")), (bad, 2, result("hung", 2, "no line for 180 s")),
                             (mixed, 1, result("passed", 1)), (mixed, 2, result("crashed", 2, "BUG <at> 0xffffffff87654321 & more")),
                             (good, 1, result("passed", 1)), (good, 2, result("passed", 2))):
        found.store.put(PLAN.job(cell, seed).key, data)
    return found


def test_the_table(survey):
    table = Table(survey)
    assert table.rows() == [["kernel", "qemu", "xen 4.20, 4 CPUs"], ["linux-1", "2 of 2 FAILED (A,B)", "1 of 2 FAILED (A)"], ["linux-2", "2 passed", "-"]]
    assert table.is_bad()
    text = table.as_text()
    assert "A  crashed: BUG <at> N & more\n   2 runs, after 3.5 virtual seconds" in text and "seeds 1 to 2, kernels with `preempt=full`" in text
    assert "| linux-2 | 2 passed | - |" in table.as_markdown()
    assert [cell["runs"] for cell in json.loads(table.as_json())["cells"]] == [2, 2, 2, 0]
    assert markdown(json.loads(json.dumps(table.facts()))) == table.as_markdown()  # as a document has it, of docs/figures
    page = table.as_html()
    assert 'href="#A"' in page and "BUG &lt;at&gt;" in page and "./pteron run --seed 2" in page


def test_results_of_other_files_are_not_taken(survey, monkeypatch):
    """What decides a run has changed: nothing is there."""
    monkeypatch.setattr("harness.judge.survey.identity", lambda _: "another")
    other = Survey(PLAN, survey.store.folder.parent, Place(), lambda *_: None)
    assert not any(other.results(cell) for cell in PLAN.cells())


# --- the runs ---

SMALL = ("survey", "--suite", "pv", "--cpus", "1")


def runs_made(done: subprocess.CompletedProcess) -> int:
    return sum(" runs" in line for line in done.stderr.splitlines() if line.startswith("pteron: ") and " of " in line)


def test_no_run_is_made_twice(tmp_path):
    """More seeds make the new ones only; the same again makes none, and still has the table."""
    first = pteron(*SMALL, "--seeds", "2", "--folder", str(tmp_path), "--json", str(tmp_path / "json"))
    assert first.returncode == 0 and runs_made(first) == 2 and "2 passed" in first.stdout
    more = pteron(*SMALL, "--seeds", "3", "--jobs", "2", "--folder", str(tmp_path))
    assert more.returncode == 0 and runs_made(more) == 1 and "3 passed" in more.stdout
    again = pteron(*SMALL, "--seeds", "3", "--folder", str(tmp_path))
    assert again.returncode == 0 and runs_made(again) == 0 and "3 passed" in again.stdout
    assert json.loads((tmp_path / "json").read_text())["cells"][0]["runs"] == 2


def test_an_interrupted_survey_goes_on(tmp_path):
    with subprocess.Popen(["./pteron", *SMALL, "--seeds", "40", "--folder", str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as child:
        while "2 of 40 runs" not in child.stderr.readline():
            assert child.poll() is None
        child.send_signal(signal.SIGTERM)
        out, _ = child.communicate(timeout=60)
    assert child.returncode == 125 and "goes on where it stopped" in out
    kept = len(list(tmp_path.glob("*/*.json")))
    assert 2 <= kept < 40 and not list(tmp_path.glob("*/.*.part"))
    done = pteron(*SMALL, "--seeds", str(kept + 1), "--folder", str(tmp_path))
    assert done.returncode == 0 and runs_made(done) == 1 and f"{kept + 1} passed" in done.stdout


def test_a_run_that_fails_is_in_the_table(tmp_path):
    """And is made once: a failure is a result."""
    own = tmp_path / "qemu"
    own.write_text('#!/bin/bash\n[[ $* != *-kernel* ]] || echo run >> "${0%/*}/made"\n'
                   'exec qemu-system-x86_64 "${@/suite=pv/panic=null_read suite=pv}"\n')
    own.chmod(0o755)
    done = pteron(*SMALL, "--folder", str(tmp_path), "--qemu", str(own), "--html", str(tmp_path / "page"))
    assert done.returncode == 1 and "1 of 1 FAILED (A)" in done.stdout and "A  crashed: " in done.stdout, done.stderr
    assert (tmp_path / "made").read_text().count("run") == 1
    assert "null_read" in (tmp_path / "page").read_text()


REFUSED = {
    "--kernel nothing": "no file has that name", "--bisect 7.0": "give two versions",
    "--bisect linux-7.3.4..linux-7.0.4": "must be newer", "--on nowhere": "invalid choice: 'nowhere'", "--xen-append x": "only on Xen", "--suite nothing": "there is no",
    "--cpus 99": "is not between 1 and 64", "--platform=--suite=pv": "a platform is told by", "--hosts no.such.host.invalid --suite pv": "no.such.host.invalid",
}


@pytest.mark.parametrize("options", REFUSED)
def test_refusals(tmp_path, options):
    done = pteron("survey", "--folder", str(tmp_path), *options.split())
    assert done.returncode == 2 and REFUSED[options] in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("kind, arguments", [("survey", ("--suite", "pv")), ("run", ("--suite", "pv")), ("mutant", ("", "deferred", "pv", [1], 0))])
def test_a_worker_refuses_other_files(kind, arguments):
    """A host whose checkout differs answers nothing."""
    done = pteron("survey", "--job", Job("key", arguments, kind).words("other"))
    assert done.returncode == 125 and "bring both to one commit" in done.stderr and done.stdout == ""
