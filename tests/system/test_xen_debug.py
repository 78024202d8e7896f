"""A debug Xen as witness: its own counters must equal the kernel's, and its log must hold no complaint.
Only with ./pteron test --xen-debug, because it builds a hypervisor first."""

import os
import re

import pytest

from harness import catalogue, debug_xen

pytestmark = pytest.mark.skipif(not os.environ.get("PTERON_XEN_DEBUG"), reason="needs --xen-debug")

# What Xen may say while a kernel runs: that a debug key was pressed, and its table of counters.
EXPECTED = re.compile(r"\(XEN\) (\*\*\*|Xen performance counters|'[pP]' pressed|.*TOTAL\[| +ARR\d\d\[|.*CPU\d\d\[)")
# Refusals are this suite's subject: Xen complains of each.
REFUSED = "batch"


@pytest.fixture(scope="module")
def xen():
    return debug_xen.make()


def total(lines, name):
    """The sum of one of Xen's counters over all CPUs."""
    return next(int(m[1]) for line in lines if (m := re.match(rf"\(XEN\) {name} +TOTAL\[ *(\d+)\]", line)))


def kernels(lines):
    line = next(line for line in lines if line.startswith("# witness: "))
    return {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", line)}


def complaints(lines):
    start = next(i for i, line in enumerate(lines) if line.startswith("# pteron "))
    return [line for line in lines[start:] if line.startswith("(XEN)") and not EXPECTED.match(line)]


def all_but_refused():
    return ",".join(s.name for s in catalogue.suites() if s.name not in (REFUSED, "costs"))


@pytest.mark.parametrize("backend, cpus", [("xen", 1), ("xen", 4), ("ptwr", 2)])
def test_counters_agree(boot, xen, backend, cpus):
    result = boot(on="xen", backend=backend, cpus=cpus, suite=all_but_refused(), rounds=6,
                  append="witness=on", xen=xen)
    lines = result.output.lines
    assert result.verdict == "passed", result.told()
    assert not complaints(lines)
    own = kernels(lines)
    assert own["mmu_updates"] > 100
    assert total(lines, "calls to mmu_update") == own["mmu_updates"]
    assert total(lines, "page updates") == own["entries"]
    assert total(lines, "writable pt emulations") == own["emulated"]
    assert (own["emulated"] > 100) == (backend == "ptwr")
    # An update of what is no page table would be a plain store, answered with success.
    assert total(lines, "mmu_updates of writable pages") == 0


def test_refusals_are_complained_of(boot, xen):
    """The check for complaints can fail; calls are counted all the same."""
    result = boot(on="xen", backend="xen", cpus=2, suite=REFUSED, append="witness=on", xen=xen)
    assert result.verdict == "passed", result.told()
    assert any("Bad type" in line for line in complaints(result.output.lines))
    assert total(result.output.lines, "calls to mmu_update") == kernels(result.output.lines)["mmu_updates"]
