"""The boot matrix: boot paths, CPU counts, memory sizes, CPU models, backends, lazy on and off.

Rounds are few here: each entry shows that this configuration works. test_stress.py has the long runs.

CPUs race, each in a thread of its own, in test_cpus with 4 (and 2), in the release build, and in test_stress.py. Where a
configuration differs from those in something else, or has more CPUs than a host, they take turns (TURNS): so none spins
for one that the host has put aside, and a failure repeats.
"""

import pytest

from harness import catalogue
from harness.build import Build
from harness.kvm import kvm_works
from harness.machine import TURNS, Config

STRESS = "fault,mprotect,zap,mremap,fork,remap,spurious,mix,switch"
BACKENDS = ["native", "deferred", "shadow"]
ALL = catalogue.ordinary_suites()
UNIT = "alloc,lazy_mmu,locks,pgtable,pv,uaccess,vma"
TABLES = catalogue.unit_suites() + ",fork,mix,mprotect,mremap,sequences,tables,zap"  # what a whole table can serve
DOORS = UNIT + ",copy,cpu,doors,fault,fork,fuzz-syscalls,mix,rights,stare"  # what the CPU's features are used by


def passes(result, cpus=None):
    assert result.verdict == "passed", result.told()
    if cpus:
        assert f"# smp: {cpus} CPUs" in result.output.lines


@pytest.mark.parametrize("cpus, backend", [
    pytest.param(cpus, backend, marks=pytest.mark.long if cpus == 2 or (cpus, backend) in ((16, "native"), (16, "deferred"), (1, "native")) else ())
    for cpus in (1, 2, 4, 16) for backend in BACKENDS])
def test_cpus(boot, backend, cpus):
    icount = TURNS if cpus > 4 else None
    passes(boot(backend=backend, cpus=cpus, suite=ALL, shuffle=True, rounds=4, seed=cpus, icount=icount), cpus)


@pytest.mark.parametrize("path", ["bios", "uefi"])
def test_grub(boot, path):
    result = boot(boot=path, cpus=2, suite=UNIT + ",fault,mix", rounds=10)
    passes(result, 2)
    assert any("booted by multiboot2" in line for line in result.output.lines)


@pytest.mark.long
@pytest.mark.parametrize("backend", BACKENDS)
def test_64_mib(boot, backend):
    passes(boot(backend=backend, mem=64, cpus=4, suite=ALL, shuffle=True, rounds=4, icount=TURNS))


def test_64_mib_and_16_cpus(boot):
    passes(boot(mem=64, cpus=16, suite=UNIT + ",fault,mix,fork", rounds=3))


def test_16_gib(boot):
    """Sparse: QEMU touches only what the kernel does, which is mem_map and the free list's heads."""
    result = boot(mem=16384, cpus=2, suite=UNIT.replace("alloc,", "") + ",fault", rounds=5)
    passes(result)
    assert any("16383 MiB of RAM" in line for line in result.output.lines)


@pytest.mark.parametrize("backend", BACKENDS)
def test_lazy_off(boot, backend):
    """Every update at once: nothing may be batched, and everything must still be right; in little memory, too."""
    result = boot(backend=backend, lazy="off", mem=64, cpus=4, suite=ALL, shuffle=True, rounds=4, icount=TURNS)
    passes(result)
    assert result.output.counters["batches"] == 0 and not result.output.histogram


@pytest.mark.parametrize("backend, suite", [("native", ALL), ("deferred", TABLES), ("shadow", TABLES)], ids=BACKENDS)
def test_tables_off(boot, backend, suite):
    """Entries only, as everything else rests on them."""
    result = boot(backend=backend, tables="off", cpus=4, suite=suite, shuffle=True, rounds=4, icount=TURNS)
    passes(result)
    assert not any(n for name, n in result.output.counters.items() if name.startswith("tables_"))


@pytest.mark.parametrize("cpu", ["max", "qemu64", "Haswell-noTSX"])
def test_cpu_models(boot, cpu):
    """With SMEP, SMAP, UMIP, FSGSBASE (and PCID, x2APIC where the accelerator has them), and without."""
    result = boot(cpu=cpu, cpus=4, suite=DOORS, shuffle=True, rounds=4)
    passes(result)
    line = next(line for line in result.output.lines if line.startswith("# cpu: "))
    assert ("smap" in line) == (cpu == "max")


def test_features_can_be_disabled(boot):
    result = boot(cpu="max", cpus=2, suite=UNIT + ",mix", rounds=10,
                  append="disable=smap,smep,fsgsbase")
    passes(result)
    line = next(line for line in result.output.lines if line.startswith("# cpu: "))
    assert "smap" not in line and "smep" not in line and "umip" in line


def test_many_cpus(boot):
    passes(boot(cpus=64, mem=512, suite="locks,lazy_mmu,fault", rounds=2), 64)


def test_clang_build(boot):
    build = Build(cc="clang")
    build.make()
    passes(boot(build=build, backend="deferred", cpus=4, suite=ALL, shuffle=True, rounds=2, icount=TURNS))


def test_kvm(boot):
    """PCID and x2APIC, which TCG does not have; only where KVM truly works."""
    if not kvm_works(Config()):
        pytest.skip("KVM does not run Pteron here")
    result = boot(accel="kvm", cpus=4, suite=f"{ALL},{catalogue.stepping_suites()}", shuffle=True, rounds=4)
    passes(result)
    line = next(line for line in result.output.lines if line.startswith("# cpu: "))
    assert "x2apic" in line


def test_release_build(boot, release):
    """With the suites that only measure."""
    suites = ALL + "," + catalogue.measuring_suites()
    for backend in BACKENDS:
        passes(boot(build=release, backend=backend, cpus=4, suite=suites, shuffle=True, rounds=2))


@pytest.mark.parametrize("backend", BACKENDS)
def test_queue_and_batches(boot, backend):
    """What the counters must show: batches on both, of many entries; hypercalls on one only."""
    result = boot(backend=backend, cpus=2, suite="mprotect,zap", rounds=10)
    passes(result)
    sizes = {int(size): n for size, n in result.output.histogram.items()}
    assert sum(sizes.values()) == result.output.counters["batches"]
    assert max(sizes) > 100
    assert bool(result.output.counters["hypercalls"]) == (backend != "native")
