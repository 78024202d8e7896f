"""What the system tests share: builds, made once, a way to boot that shows its output on failure, and the order in
which jobs side by side take them.

Two tests may run at once, in processes of their own: what they build below build/ is made under a lock
(harness/build.py), all else belongs in tmp_path."""

import os
import subprocess

import pytest

from harness.build import Build
from harness.catalogue import ROOT
from harness.machine import Config
from harness.runner import Result, run


# The longest, by how their names begin: they come first, so that none is left to one job when the others have ended.
LONGEST = [
    "test_xen.py::test_seeds_of_mix", "test_against.py", "test_bench.py", "test_xen.py::test_all_suites",
    "test_first_hour.py", "test_xen.py::test_lazy_off", "test_xen.py::test_ptwr",
    "test_boot_matrix.py::test_cpus", "test_boot_matrix.py::test_release_build", "test_sequences.py", "test_stress.py::test_16_cpus",
    "test_stress.py::test_default_work", "test_xen.py", "test_boot_matrix.py",
]
# Files that one job takes whole, because their tests share what was measured.
WHOLE = ["test_against.py", "test_answers.py", "test_bench.py", "test_first_hour.py"]
# The output of each test that has failed, as soon as it has.
FAILURES = ROOT / "build/report/failures.txt"


def place(item: pytest.Item) -> int:
    """Where @item comes; what is not among the longest stays behind them, in its order."""
    path, _, test = item.nodeid.partition("::")  # there may be a / in a test's parameters, too
    name = f"{path.rpartition('/')[2]}::{test}"
    return next((i for i, longest in enumerate(LONGEST) if name.startswith(longest)), len(LONGEST))


def pytest_sessionstart(session) -> None:
    if not hasattr(session.config, "workerinput"):
        FAILURES.unlink(missing_ok=True)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What failed can be read at once; pytest tells it when all have ended, and not at all if it is stopped before."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        FAILURES.parent.mkdir(parents=True, exist_ok=True)
        with FAILURES.open("a", encoding="utf-8") as file:
            file.write(f"=== {report.nodeid} ({report.when})\n{report.longreprtext}\n{report.capstdout}\n")


def pytest_collection_modifyitems(config, items) -> None:
    if not os.environ.get("PTERON_LONG"):
        short = [item for item in items if not item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=[item for item in items if item.get_closest_marker("long")])
        items[:] = short
    if hasattr(config, "workerinput"):  # one of several jobs
        items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Of pytest-xdist: whoever has little left to do gets the next test, or file of WHOLE."""
    from xdist.scheduler.loadscope import LoadScopeScheduling  # pylint: disable=import-outside-toplevel  # if there is one

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return path if path.rpartition("/")[2] in WHOLE else nodeid

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def debug() -> Build:
    build = Build()
    build.make()
    return build


@pytest.fixture(scope="session")
def release() -> Build:
    build = Build(debug=False)
    build.make()
    return build


@pytest.fixture
def boot(debug, capsys):
    """Boot with Config's fields as keywords; prints what the kernel said, which pytest shows if the
    test fails."""
    def do_boot(patience: float = 180, **options) -> Result:
        options.setdefault("build", debug)
        result = run(Config(**options), patience=patience)
        print("$ " + result.config.replay())
        print("\n".join(line for line in result.output.lines
                        if not line.startswith(("# batch ", "# counter ", "# progress "))))
        return result
    return do_boot


@pytest.fixture
def replayed():
    """Run the replay line that a front door's run has printed, as a shell does: it repeats the run."""
    def do_replay(done: subprocess.CompletedProcess) -> subprocess.CompletedProcess:
        line = next(line for line in done.stdout.splitlines() if line.startswith("replay: "))
        return subprocess.run(line[len("replay: "):], shell=True, cwd=ROOT, capture_output=True, text=True,
                              check=False, timeout=300)
    return do_replay
