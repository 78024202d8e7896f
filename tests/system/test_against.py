"""./pteron bench --against linux, in short: the program on this machine's Linux, counted runs that repeat
themselves, a Linux in QEMU, and what the report is made of."""

import csv
import json
import subprocess
from dataclasses import replace
from functools import cache
from xml.etree import ElementTree

import pytest

from harness import against, bench_report, charts, comparison, goals
from harness.against import Key, Run
from harness.bench import BenchError

ABOUT = {"date": "2026-01-01", "commit": "none"}
PROGRAM = against.PROGRAM
SIDES = ("pteron", "linux-7.3.4", "linux-7.3.4-defaults", "linux-6.1")


def on_this_machine(*arguments: str) -> subprocess.CompletedProcess[str]:
    against.make_program()
    return subprocess.run([against.PROGRAM, *arguments], capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def everything() -> list[str]:
    """All that the program says, from this machine's own kernel."""
    done = on_this_machine("--cpus", "2")
    assert done.returncode == 0, done.stdout
    return done.stdout.splitlines()


def measured(kind: str, place: str, kernel: str = "linux") -> list[Run]:
    """Of Pteron the counted run and the metered one."""
    return against.measure([place], against.sides(kernel, [kind]), ["calls"], boots=0)


measured_before = cache(measured)


def counted(kind: str, place: str) -> Run:
    return measured(kind, place)[0]


def counted_before(kind: str, place: str, kernel: str = "linux") -> Run:
    return measured_before(kind, place, kernel)[0]


@pytest.fixture(scope="module")
def runs(everything) -> list[Run]:
    """As if every side had said the same, in both places."""
    return [Run(side, place, mode, against.parse(everything), everything, 1.5)
            for place in against.PLACES for side in SIDES for mode in ("counted", "parallel", "boot")]


def test_the_program_runs_on_linux(everything):
    assert everything[0].startswith("bench boot ticks=") and everything[-1] == "bench done"
    figures = against.parse(everything)
    for pages in (1, 16, 512, 4096):
        assert figures[Key("munmap", pages, "aligned")]["ticks"] > 0
    assert figures[Key("munmap", 1, mapped=1 << 18)]["ticks"] > 0
    assert figures[Key("faults_disjoint", threads=2)]["rate"] > 0


def test_one_group_alone():
    done = on_this_machine("threads")
    names = {key.name for key in against.parse(done.stdout.splitlines())}
    assert names == {"boot", "thread_create_join", "thread_end_of_many", "switch_futex_processes", "switch_futex_threads",
                     "switch_yield_processes"}


@pytest.mark.parametrize("arguments", [("nonsense",), ("--cpus", "0"), ("--cpus",)])
def test_refuses_what_it_does_not_know(arguments):
    done = on_this_machine(*arguments)
    assert done.returncode == 1 and done.stdout.splitlines()[-1].startswith("bench FAIL usage")


def test_groups_are_those_of_the_program():
    assert against.groups() == ["calls", "faults", "ranges", "forks", "workloads", "sweep", "threads", "scale"]


@pytest.mark.parametrize("place", against.PLACES)
def test_counted_runs_repeat_themselves(place, monkeypatch):
    """To the byte: ticks are instructions."""
    first = counted_before("pteron", place)
    monkeypatch.setattr(against, "COUNTED", ("counted",))
    second = counted("pteron", place)
    assert first.lines == second.lines and Key("getppid") in first.figures


@pytest.mark.parametrize("place", against.PLACES)
def test_linux_takes_more(place):
    ours, linux = (counted_before(side, place) for side in ("pteron", "linux-best"))
    for name in ("boot", "getppid", "fork_untouched"):
        assert ours.figures[Key(name)]["ticks"] < linux.figures[Key(name)]["ticks"]


def test_another_linux():
    """The newest series that Debian had when this was written: it is that one which runs, and it costs something else."""
    try:
        against.linux("linux-7.0.4")
    except against.kernels.archive.ArchiveError as error:
        pytest.skip(str(error))
    ours, another = (counted_before("linux-best", "qemu", kernel) for kernel in ("linux", "linux-7.0.4"))
    assert ours.figures.keys() == another.figures.keys() and ours.figures != another.figures
    assert against.configuration(against.sides("linux-7.0.4"))["linux"].startswith("7.0.4")


@pytest.mark.parametrize("name, words", [("pteron", "give linux"), ("linux-9.9", "there is no Linux 9.9"), ("nothing", "no file has that name")])
def test_a_kernel_that_is_none(name, words, monkeypatch):
    monkeypatch.setattr(against.kernels.archive, "packages", lambda pattern, fresh=False: [])
    with pytest.raises(against.kernels.KernelError, match=words):
        against.linux(name)


def test_a_failure_names_the_run_and_how_to_repeat_it(monkeypatch, tmp_path):
    empty = tmp_path / "empty.cpio"
    empty.write_bytes(against.dom0.cpio(tmp_path))
    monkeypatch.setattr(against, "ARCHIVE", empty)
    monkeypatch.setattr(against, "make_program", lambda: None)
    with pytest.raises(BenchError, match=r"Pteron on native, counted(.|\n)*"
                       r"replay: ./pteron bench --against linux --on qemu --side pteron --group calls"):
        counted("pteron", "qemu")


def test_every_goal_has_a_figure(runs):
    figures = comparison.collect(runs)["qemu", "pteron"]
    for limits in goals.LIMITS.values():
        for name, layout in limits:
            assert Key(name, goals.GOAL_PAGES if layout else 0, layout) in figures
    assert Key("faults_disjoint_speedup", threads=2) in figures


def test_goals_and_ratios():
    ours, theirs = Key("munmap", 512, "aligned"), Key("faults_disjoint", threads=2)
    fields = {ours: {"ticks": 512 * 100}, theirs: {"rate": 50, "low": 50, "high": 50}}
    linux = {ours: {"ticks": 512 * 300}, theirs: {"rate": 10, "low": 10, "high": 10}}
    values = comparison.collect([Run("pteron", "qemu", "counted", fields), Run("linux-6.1", "qemu", "counted", linux)])
    assert comparison.ratio(values, "qemu", ours) == 3 and comparison.ratio(values, "qemu", theirs) == 5
    assert comparison.met("qemu", ours, values["qemu", "pteron"][ours]) is True
    assert comparison.met("qemu", ours, replace(values["qemu", "pteron"][ours], number=201)) is False
    assert comparison.met("qemu", theirs, values["qemu", "pteron"][theirs]) is None
    assert bench_report.verdicts(values) == (1, 1)


def test_the_dearest_call_is_no_cheaper_than_the_median(everything):
    """Of what makes many faults it is one fault, measured apart: that is judged where instructions are counted (test_documents.py)."""
    figures = against.parse(everything)
    worst = {key: fields for key, fields in figures.items() if "worst" in fields}
    assert {"munmap", "fork", "touch", "cow_first_write", "munmap_touched_gib", "thread_end_of_many", "getppid"} <= {k.name for k in worst}
    for key, fields in worst.items():
        if key.name not in comparison.ONE_BY_ONE or key.pages > 512:
            assert fields["worst"] >= fields["ticks"], key
        else:
            assert fields["worst"] > 0, key


def dear(ours: int, theirs: int) -> comparison.Values:
    """Values with one dearest call each."""
    return comparison.collect([Run(side, "xen", "counted", {Key("munmap", 512, "aligned"): {"ticks": 100, "worst": worst}})
                               for side, worst in (("pteron", ours), ("linux-7.3.4-defaults", 1), ("linux-7.3.4", theirs), ("linux-6.1", 1))])


def test_a_call_that_is_too_dear_is_marked():
    """Above twice that of the first Linux at its best."""
    key, good, bad = Key("munmap", 512, "aligned"), dear(200, 100), dear(201, 100)
    assert comparison.too_dear(good) == [] and comparison.too_dear(bad) == [("xen", key)]
    assert "200 " in bench_report.table(good, ABOUT) and "!" not in bench_report.table(good, ABOUT)
    assert "201!" in bench_report.table(bad, ABOUT) and "Xen: munmap aligned, 2.0 times" in "\n".join(bench_report.summary(bad))


@pytest.mark.parametrize("place", against.PLACES)
def test_the_floor_is_below_what_it_is_of(place):
    """An exception and a system call cost something, and less than Pteron's; no row is cheaper than what cannot be avoided."""
    runs = measured_before("pteron", place)
    parts = {key.name.removeprefix("floor_"): f["ticks"] for key, f in runs[1].figures.items() if key.name.startswith("floor_")}
    assert parts.keys() == {"clear", "copy", "exception", "syscall", "change", "free"}
    low, high = {"qemu": (10, 60), "xen": (600, 1000)}[place]
    assert 512 <= parts["clear"] < 530 and 512 <= parts["copy"] < 530 and low < parts["syscall"] < parts["exception"] < high
    values = comparison.collect(runs)[place, "pteron"]
    floors = {key.name: comparison.floor_ratio(value) for key, value in values.items() if value.floor}
    assert {"getppid", "mmap_untouched", "fork_untouched", "fork_exit_wait_untouched"} <= floors.keys()
    assert all(times > 1 for times in floors.values()), floors
    did = runs[1].figures[Key("fork_untouched")]
    assert did["c"] == 1 and did["f"] >= did["k"] >= 1  # the parent goes on writing to its stack
    assert did["h"] > 30_000 if place == "xen" else did["h"] == 0


@pytest.mark.parametrize("place, most", goals.FLOOR_MOST.items())
def test_what_is_above_its_floor_is_marked(place, most):
    key = Key("munmap", 512, "aligned")
    for number, marked in ((100 * most, False), (100 * most + 1, True)):
        values = {(place, "pteron"): {key: comparison.Value(number, floor=100)}}
        assert comparison.above_floor(values) == [(place, key)] * marked
        assert ("+" in bench_report.table(values, ABOUT)) == marked
        assert f"{against.PLACES[place]}, {int(marked)} of 1 rows take more than {most} times" in "\n".join(bench_report.summary(values))


@pytest.mark.long
def test_nothing_runs_beside_the_program():
    """A Linux 7.3.4 works on beside its first program for seconds. It clears a page by 512 instructions, and that wherever it is touched."""
    try:
        [run] = against.measure(["qemu"], against.sides("linux-7.3.4", ["linux-best"]), ["faults"], boots=0, pages=512)
    except against.kernels.archive.ArchiveError as error:
        pytest.skip(str(error))
    touches = [run.figures[Key("touch", 512, layout)]["ticks"] / 512 for layout in ("aligned", "sparse8", "permuted")]
    assert max(touches) < 1.1 * min(touches) and max(touches) < 6000
    reads = run.figures[Key("read_touch", 512, "aligned")]["ticks"] / 512
    assert touches[0] > reads + 512


def test_the_floor_is_made_of_what_was_done():
    parts = {Key(f"floor_{name}"): {"ticks": ticks} for name, ticks in
             (("exception", 3), ("syscall", 50), ("clear", 700), ("copy", 900), ("change", 11), ("free", 13))}
    did = {"f": 2, "c": 1, "k": 1, "h": 10_000}
    keys = {Key("munmap", 512, "aligned"): 6 + 50 + 900 + 10_000 + 512 * 13, Key("populate", 1, "aligned"): 6 + 50 + 900 + 10_000 + 700,
            Key("mprotect_rw_r", 512, "unaligned"): 6 + 50 + 900 + 10_000 + 512 * 11, Key("mprotect_rw_r", 512, "aligned"): 10_956,
            Key("cow_first_write", 512, "aligned"): 10_956}
    values = comparison.collect([Run("pteron", "qemu", "counted", {key: {"ticks": 1 << 20} for key in keys}),
                                 Run("pteron", "qemu", "metered", {**parts, **{key: {"ticks": 1, **did} for key in keys}})])["qemu", "pteron"]
    for key, floor in keys.items():
        assert values[key].floor * (1 if key.name == "cow_first_write" else key.pages) == pytest.approx(floor), key
        assert values[key].number * (1 if key.name == "cow_first_write" else key.pages) == 1 << 20


def test_several_linuxes(monkeypatch):
    """Each at its best, and the first with its defaults as well; one of them twice is refused."""
    monkeypatch.setattr(against.kernels, "get", lambda name, say: against.kernels.Kernel(name, f"{name[6:]}-amd64", PROGRAM, f"{name[6:]}-1"))
    sides = against.sides("linux-7.3.4,linux-6.1")
    assert [s.name for s in sides] == ["pteron", "linux-7.3.4", "linux-7.3.4-defaults", "linux-6.1"]
    assert [against.title(s.name) for s in sides] == ["Pteron", "Linux 7.3.4", "Linux 7.3.4 defaults", "Linux 6.1"]
    assert [s.words for s in sides if s.kernel] == [against.BEST, "", against.BEST] and sides[2].xen == "" != sides[1].xen
    assert [s.name for s in against.sides("linux-7.3.4,linux-6.1", ["linux-best"])] == ["linux-7.3.4", "linux-6.1"]
    with pytest.raises(against.kernels.KernelError, match="linux-6.1 is there twice"):
        against.sides("linux-6.1,linux-6.1")


def test_report(runs, tmp_path):
    """The table has every side; JSON and CSV agree; every chart is drawn."""
    text, figures = bench_report.publish(runs, ABOUT, tmp_path)
    for word in ("native", "Xen", "Pteron", "Linux 7.3.4", "Linux 7.3.4 defaults", "Linux 6.1", "worst", "floor", "ratio", "goal", "1.0x", "MISSED"):
        assert word in text
    records = json.loads(figures)["figures"]
    assert json.loads((tmp_path / "bench.json").read_text()) == json.loads(figures)
    assert text.startswith((tmp_path / "bench.txt").read_text())
    with (tmp_path / "bench.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == [r["name"] for r in records]
    drawn = list(tmp_path.glob("*.svg"))
    assert len(drawn) == 7
    assert all(ElementTree.parse(svg).getroot().tag == "{http://www.w3.org/2000/svg}svg" for svg in drawn)


def test_a_chart_has_the_same_bytes_again(runs, tmp_path):
    rates = {at: {key: value for key, value in figures.items() if key.threads}
             for at, figures in comparison.collect(runs).items()}
    [chart] = charts.draw(rates, tmp_path, ABOUT)
    first = chart.read_bytes()
    assert charts.draw(rates, tmp_path, ABOUT) == [chart] and chart.read_bytes() == first
