"""./pteron coverage: the counters that the kernel prints become gcov's files, and what ran is told from what did not."""

import json

import pytest

from harness import coverage
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


def test_what_runs_is_counted(boot, tmp_path):
    """Of a run of one suite: its subject to the last line, and nothing of what only Xen has."""
    build = Build(coverage=True)
    build.make()
    result = boot(build=build, suite="vma", icount=TURNS, mem=128)
    assert result.verdict == "passed"
    coverage.unpack(result.output.kernel_lines, tmp_path)
    for notes in build.directory.rglob("*.gcno"):
        (tmp_path / notes.relative_to(build.directory)).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / notes.relative_to(build.directory)).write_bytes(notes.read_bytes())
    run_checked("gcovr", "--root", ".", "--json-summary", str(tmp_path / "s.json"), str(tmp_path), cwd=coverage.ROOT)
    files = {f["filename"]: f for f in json.loads((tmp_path / "s.json").read_text())["files"]}
    assert files["mm/vma/vma.c"]["line_percent"] > 95 and files["pv/xen/mmu.c"]["line_covered"] == 0
