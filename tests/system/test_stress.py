"""The long runs: the default work, and many seeds of mix."""

import pytest

from harness import catalogue

BACKENDS = ["native", "deferred", "shadow"]
MUCH = "dirty,fault,fork,mix,mprotect,mremap,remap,spurious,stare,switch,tables,zap"


@pytest.mark.long
def test_default_work(boot):
    """What `./pteron run --cpus 4` does, and that it is as much as it says."""
    result = boot(backend="native", cpus=4)
    assert result.verdict == "passed", result.told()
    assert result.output.counters["page_faults"] >= 1_000_000
    assert result.output.counters["spurious_faults"] > 0
    assert result.output.counters["sections_preempted"] > 0
    assert result.output.counters["sections_migrated"] > 0


@pytest.mark.parametrize("backend", ["deferred", "shadow"])
def test_much_work(boot, backend):
    """Less of it where a hypervisor is played too."""
    result = boot(backend=backend, cpus=4, suite=MUCH, rounds=15)
    assert result.verdict == "passed", result.told()
    assert result.output.counters["page_faults"] >= 50_000
    assert result.output.counters["sections_migrated"] > 0


@pytest.mark.parametrize("seed", range(1, 31))
def test_seeds_of_mix(boot, seed):
    result = boot(backend=BACKENDS[seed % 3], cpus=4, suite="mix", rounds=25,
                  seed=seed)
    assert result.verdict == "passed", result.told()


def test_16_cpus(boot):
    """Stress with much work, on many more CPUs than the host has."""
    assert boot(cpus=16, suite="fault,mix,zap", rounds=60).verdict == "passed"
