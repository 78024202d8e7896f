"""Real Xen 4.17 in QEMU, Pteron as its PV dom0."""

import pytest

UNIT = "alloc,audit,lazy_mmu,locks,oom,pgtable,pv,uaccess,vma"


@pytest.mark.parametrize("cpus", [1, 2, 4, 8])
def test_all_suites(boot, cpus):
    """The same suites and oracles as on QEMU; more vCPUs than CPUs, so that Xen preempts them."""
    result = boot(on="xen", backend="xen", cpus=cpus, suite="all", rounds=6, seed=cpus)
    assert result.verdict == "passed"
    assert f"# smp: {cpus} CPUs" in result.output.lines
    assert result.output.counters["hypercalls"] > 0
    assert max(int(size) for size in result.output.histogram) > 100


def test_lazy_off(boot):
    result = boot(on="xen", backend="xen", cpus=2, suite="all", rounds=6, lazy="off")
    assert result.verdict == "passed"
    assert result.output.counters["batches"] == 0


def test_64_mib(boot):
    assert boot(on="xen", backend="xen", cpus=2, mem=64, suite="all", rounds=6).verdict == "passed"


def test_system_calls(boot):
    result = boot(on="xen", backend="xen", cpus=2, append="init=syscalls")
    assert result.verdict == "passed"


def test_crash_is_reported(boot):
    """The exit device and the verdict, where shutdown hypercalls tell lies."""
    result = boot(on="xen", backend="xen", cpus=1, append="panic=null_read")
    assert result.verdict == "crashed" and result.status == 37


def test_writes_that_bypass_the_table_fault(boot):
    """Page tables are read-only: writable page tables are off."""
    result = boot(on="xen", backend="xen", cpus=1, append="panic=write_text")
    assert result.verdict == "crashed"
    assert any("write at ffffffff80200000" in line for line in result.output.lines)
