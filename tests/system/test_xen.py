"""Real Xen 4.17 in QEMU, Pteron as its PV dom0 and, started by xl in a Linux dom0, as a PV domU."""

import pytest

from harness import catalogue
from harness.machine import Config
from harness.runner import run_seeds

ALL = catalogue.ordinary_suites()
STRESS = catalogue.stress_suites()
UNIT = catalogue.unit_suites() + ",fault,fork,mix,mprotect,mremap,tables,zap"
HOSTS = ["xen", "xl"]
SEEDS = 6
RANGES = "batch,ranges,oom,zap,fork,mprotect,mremap,mix,tables"
SHARED = "early,fault,fork,mix,mprotect,remap,stare,zap"  # what CPUs do to one address space


def passes(result, cpus):
    assert result.verdict == "passed", result.told()
    assert f"# smp: {cpus} CPUs" in result.output.lines
    assert result.output.counters["hypercalls"] > 0
    assert result.output.counters["emulated_writes"] == 0


@pytest.mark.parametrize("on, cpus", [pytest.param("xen", 1, marks=pytest.mark.long), pytest.param("xen", 2, marks=pytest.mark.long), ("xen", 4), ("xl", 4)])
def test_all_suites(boot, on, cpus):
    """The same suites and oracles as on QEMU; more vCPUs than CPUs, so that Xen preempts them."""
    result = boot(on=on, backend="xen", cpus=cpus, suite=ALL, shuffle=True, rounds=4, seed=cpus)
    passes(result, cpus)
    assert max(int(size) for size in result.output.histogram) == 512


@pytest.mark.parametrize("on, suite", [
    ("xen", SHARED), pytest.param("xen", STRESS, marks=pytest.mark.long), pytest.param("xl", STRESS, marks=pytest.mark.long)],
                         ids=["xen-shared", *HOSTS])
def test_8_cpus(boot, on, suite):
    passes(boot(on=on, backend="xen", cpus=8, suite=suite, shuffle=True, rounds=3), 8)


@pytest.mark.parametrize("on, cpus, suite", [
    ("xen", 1, ALL), pytest.param("xen", 2, ALL, marks=pytest.mark.long), ("xen", 8, RANGES), pytest.param("xl", 2, RANGES, marks=pytest.mark.long)],
                         ids=["xen-1", "xen-2", "xen-8", "xl-2"])
def test_lazy_off(boot, on, cpus, suite):
    result = boot(on=on, backend="xen", cpus=cpus, suite=suite, shuffle=True, rounds=3, lazy="off")
    assert result.verdict == "passed", result.told()
    assert result.output.counters["batches"] == 0


def test_tables_off(boot):
    result = boot(on="xen", backend="xen", cpus=2, suite=RANGES, rounds=3, tables="off")
    assert result.verdict == "passed", result.told()
    assert not any(n for name, n in result.output.counters.items() if name.startswith("tables_"))


@pytest.mark.parametrize("on, suite", [
    pytest.param("xen", catalogue.ordinary_suites(only_default=True), marks=pytest.mark.long),
    ("xen", UNIT), ("xl", RANGES + ",audit,pgtable")], ids=["xen-default", *HOSTS])
def test_ptwr(boot, on, suite):
    """Plain stores, which Xen emulates, and no update of an L1 entry by hypercall."""
    result = boot(on=on, backend="ptwr", cpus=2, suite=suite, rounds=3)
    assert result.verdict == "passed", result.told()
    assert result.output.counters["emulated_writes"] > 10000


@pytest.mark.parametrize("on, suite", [("xen", STRESS + ",alloc,bounds"), pytest.param("xl", "alloc,bounds,oom,oom_kill,mix,fork,p2m", marks=pytest.mark.long),
                                       pytest.param("xl", STRESS, marks=pytest.mark.long)], ids=[*HOSTS, "xl-stress"])
def test_64_mib(boot, on, suite):
    passes(boot(on=on, backend="xen", cpus=2, mem=64, suite=suite, shuffle=True, rounds=3), 2)


@pytest.mark.parametrize("on", ["xen", pytest.param("xl", marks=pytest.mark.long)])
def test_seeds_of_mix(debug, on):
    """In a domU it differs little: test_all_suites has mix there, too."""
    config = Config(build=debug, on=on, backend="xen", cpus=4, suite="mix", rounds=4)
    results = run_seeds(config, list(range(1, SEEDS + 1)))
    assert len(results) == SEEDS
    for result in results:
        assert result.verdict == "passed", result.told()


def test_system_calls(boot):
    result = boot(on="xen", backend="xen", cpus=2, append="init=syscalls")
    assert result.verdict == "passed", result.told()


def test_crash_is_reported(boot):
    """The exit device and the verdict, where shutdown hypercalls tell lies."""
    result = boot(on="xen", backend="xen", cpus=1, append="panic=null_read")
    assert result.verdict == "crashed" and result.status == 37


def test_verdict_of_a_domain(boot):
    """The domain's shutdown reason must agree with what it printed."""
    usage = boot(on="xl", backend="xen", cpus=1, append="suite=nothing")
    assert usage.verdict == "usage" and usage.exit_code == 2
    crashed = boot(on="xl", backend="xen", cpus=1, append="panic=null_read")
    assert crashed.verdict == "crashed" and crashed.status == 37


def test_text_is_read_only(boot):
    result = boot(on="xen", backend="xen", cpus=1, append="panic=write_text")
    assert result.verdict == "crashed"
    assert any("write at ffffffff80200000" in line for line in result.output.lines)


def test_console_keeps_everything(boot):
    """A ring of 2 KiB, and far more output: nothing is lost, from the first line on."""
    lines = boot(on="xl", backend="xen", cpus=1, suite="audit,batch,lazy_mmu,locks,pin,p2m").output.lines
    first = next(i for i, line in enumerate(lines) if line.startswith("# "))
    assert lines[first].startswith(f"# pteron {catalogue.version()} (debug build) booted by xen (domU)")
    assert sum(len(line) for line in lines[first:]) > 2 * 2048
    assert lines[-1].startswith("dom0: run-000001 ended for reason 0")
