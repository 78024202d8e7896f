"""What the system tests share: builds, made once, and a way to boot that shows its output on failure."""

import subprocess

import pytest

from harness.build import Build
from harness.catalogue import ROOT
from harness.machine import Config
from harness.runner import Result, run


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
