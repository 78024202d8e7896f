"""./pteron coverage: the counters that the kernel prints become gcov's files, and what ran is told from what did not."""

import json
import re
import subprocess

import pytest

from harness import coverage, unreached
from harness.build import Build, run_checked
from harness.machine import TURNS


def test_unpack(tmp_path):
    lines = ["# gcov file /somewhere/build/gcc-coverage/mm/vma/vma.c.gcda", "# gcov data 616263", "between", "# gcov data 64",
             "# gcov file /somewhere/build/gcc-coverage/pv/native/native.c.gcda", "# gcov data 65", "# gcov end"]
    assert coverage.unpack(lines, tmp_path) == 2
    assert (tmp_path / "mm/vma/vma.c.gcda").read_bytes() == b"abcd" and (tmp_path / "pv/native/native.c.gcda").read_bytes() == b"e"


@pytest.mark.parametrize("lines", [[], ["# gcov file /a/build/b/mm/c.gcda", "# gcov data 00"]])
def test_half_a_report_is_none(tmp_path, lines):
    with pytest.raises(coverage.CoverageError):
        coverage.unpack(lines, tmp_path)


def test_table_names_what_is_not_complete():
    files = [{"file": "mm/a/x.c", "lines": 10, "lines_run": 10, "branches": 0, "branches_taken": 0},
             {"file": "mm/a/y.c", "lines": 30, "lines_run": 10, "branches": 8, "branches_taken": 2}]
    lines = [line.split() for line in coverage.table({"files": files}).splitlines()[1:]]
    assert lines == [["mm/a", "40", "50.0", "%", "8", "25.0", "%"], ["mm/a/y.c", "30", "33.3", "%", "8", "25.0", "%"],
                     ["all", "40", "50.0", "%", "8", "25.0", "%"]]


REPORT = {"files": [{"file": "mm/a/x.c", "functions": [{"name": "second", "lineno": 20}, {"name": "first", "lineno": 10}],
                     "lines": [{"line_number": n, "count": n % 2, **({"gcovr/noncode": True} if n == 12 else {})} for n in range(10, 24)]}]}


def test_lines_that_none_reached_are_told_by_function():
    assert unreached.by_function(REPORT) == {"mm/a/x.c:first": 4, "mm/a/x.c:second": 2}


def test_each_has_a_reason():
    text = "# a comment\n\nmm/a/x.c:first: alarm -- why\nmm/a/x.c:second: race -- why\nmm/a/x.c:third: race -- why\n"
    assert unreached.kinds({"mm/a/x.c:first": 4, "mm/a/x.c:second": 2, "mm/a/x.c:third": 1}, text) == {"alarm": (1, 4), "race": (2, 3)}


@pytest.mark.parametrize("text, says", [
    ("mm/a/x.c:first: alarm -- why", "no reason in .*: mm/a/x.c:second, 2 lines"),
    ("mm/a/x.c:first: alarm -- why\nmm/a/x.c:second: race -- why\nmm/a/x.c:gone: race -- why", "it is gone: mm/a/x.c:gone"),
    ("mm/a/x.c:first: alarm", "not `file:function: kind -- reason`"),
    ("mm/a/x.c:first: luck -- why", "of no kind"),
    ("mm/a/x.c:first: alarm -- why\nmm/a/x.c:first: race -- why", "more than once: mm/a/x.c:first"),
])
def test_a_list_that_is_not_true_is_refused(text, says):
    with pytest.raises(unreached.UnreachedError, match=says):
        unreached.kinds({"mm/a/x.c:first": 4, "mm/a/x.c:second": 2}, text)


def test_the_list_is_of_functions_that_are_there():
    for name in unreached.explained(unreached.read()):
        file, _, function = name.partition(":")
        assert re.search(rf"\b{function}\(", (coverage.ROOT / file).read_text()), name


def counted(boot, tmp_path, verdict, **config):
    """gcovr's figures by file, of a run."""
    build = Build(coverage=True)
    build.make()
    result = boot(build=build, icount=TURNS, mem=128, **config)
    assert result.verdict == verdict
    coverage.unpack(result.output.kernel_lines, tmp_path)
    for notes in build.directory.rglob("*.gcno"):
        (tmp_path / notes.relative_to(build.directory)).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / notes.relative_to(build.directory)).write_bytes(notes.read_bytes())
    run_checked("gcovr", "--root", ".", "--json-summary", str(tmp_path / "s.json"), str(tmp_path), cwd=coverage.ROOT)
    return {f["filename"]: f for f in json.loads((tmp_path / "s.json").read_text())["files"]}


def test_what_runs_is_counted(boot, tmp_path):
    """Of a run of one suite: its subject to the last line, and nothing of what only Xen has."""
    files = counted(boot, tmp_path, "passed", suite="vma")
    assert files["mm/vma/vma.c"]["line_percent"] > 95 and files["pv/xen/mmu.c"]["line_covered"] == 0


def test_what_runs_up_to_a_panic_is_counted(boot, tmp_path):
    """The check that breaks, and the page walk that only a panic reports."""
    files = counted(boot, tmp_path, "crashed", append="panic=write_text")
    assert files["mm/table/walk.c"]["line_covered"] > 15


def test_part_of_the_runs_is_not_recorded():
    done = subprocess.run([coverage.ROOT / "pteron", "coverage", "--only", "native", "--record"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "all runs together" in done.stderr
