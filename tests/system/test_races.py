"""The suites that meet at every instruction: where QEMU runs all CPUs in one thread, none may be left out."""

import pytest

from harness import catalogue

ICOUNT = 4
RACES = ",".join(suite.name for suite in catalogue.suites() if suite.name.startswith("race-"))


@pytest.mark.parametrize("on, backend", [("qemu", "native"), ("qemu", "deferred"), ("qemu", "shadow"), ("xen", "xen")])
def test_every_instruction(boot, on, backend):
    result = boot(on=on, backend=backend, cpus=3, suite=RACES, icount=ICOUNT)
    assert result.verdict == "passed"
    assert not [line for line in result.output.lines if "skipped" in line]
