"""./pteron new: what it writes builds, runs and fails; what it cannot write it refuses by name."""

import shutil
import subprocess

import pytest

from harness import catalogue, scaffold
from harness.build import Build
from harness.catalogue import ROOT
from harness.machine import Config
from harness.runner import run
from harness.tree import refresh

LONG = "a-name_of-the-" + "x" * (scaffold.LONGEST - 14)


@pytest.fixture
def tree(tmp_path):
    """What the names of suites and rooms come from."""
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("system", "harness", "__pycache__"))
    return tmp_path


def test_a_new_suite_fails_until_it_is_filled_in(debug, tmp_path):
    refresh(tmp_path, debug)
    path = scaffold.new_suite(LONG, "mm/range", tmp_path)
    assert path.relative_to(tmp_path).as_posix() == f"tests/unit/range/{LONG.replace('-', '_')}.c"
    build = Build(root=tmp_path)
    build.make()
    assert not build.remarks.exists(), build.remarks.read_text()
    config = Config(build=build, suite=LONG, cpus=1, mem=128, icount=4)
    failed = run(config)
    assert failed.verdict == "failed" and any("the suite is not filled in" in line for line in failed.output.lines)
    path.write_text(path.read_text().replace('ktest_fail(t, __FILE__, __LINE__, "the suite is not filled in")', "KEXPECT(t, true)"))
    build.make()
    assert run(config).verdict == "passed"


def test_what_is_written_is_formatted_and_listed(tree):
    path = scaffold.new_suite(LONG, "pv/xen", tree)
    shutil.copy(ROOT / ".clang-format", tree)
    subprocess.run(["clang-format", "--dry-run", "-Werror", path], check=True)
    assert LONG in [suite.name for suite in catalogue.suites(tree)]
    with pytest.raises(scaffold.ScaffoldError, match="already"):
        scaffold.new_suite(LONG, "mm/vma", tree)


@pytest.mark.parametrize("name, said", [
    ("zap", "there is a suite 'zap' already"),
    ("race_vma", "there is a file tests/unit/vma/race_vma.c already"),  # its suite is race-vma
    ("all", "there is a suite 'all' already"),
    ("Zap", "'Zap' is no name"), ("a--b", "'a--b' is no name"), ("../zap", "is no name"), ("9p", "is no name"), ("", "is no name"),
    (LONG + "x", "is no name"),
])
def test_bad_names(tree, name, said):
    before = sorted(tree.rglob("*"))
    with pytest.raises(scaffold.ScaffoldError) as error:
        scaffold.new_suite(name, "mm/vma", tree)
    assert said in str(error.value) and sorted(tree.rglob("*")) == before


@pytest.mark.parametrize("args, said", [
    (["suite", "zap", "--room", "mm/range"], "there is a suite 'zap' already"),
    (["suite", "quux"], "--room"),
    (["suite", "quux", "--room", "mm/nowhere"], "'mm/range'"),
    (["backend", "quux", "--room", "mm/range"], "'suite'"),
])
def test_bad_usage(args, said):
    done = subprocess.run(["./pteron", "new", *args], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and said.replace("'", "") in done.stderr.replace("'", "")  # Python 3.13 quotes no choices
