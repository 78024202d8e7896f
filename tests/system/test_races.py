"""The suites that meet at every instruction: where QEMU runs all CPUs in one thread, none may be left out."""

import pytest

from harness import catalogue
from harness.machine import TURNS

EVERYWHERE = "preempt-everywhere"
RACES = ",".join(name for name in catalogue.stepping_suites().split(",") if name != EVERYWHERE)
QEMU = [("qemu", "native"), ("qemu", "deferred"), ("qemu", "shadow")]
PLACES = [*QEMU, ("xen", "xen")]


def passes(boot, **options):
    result = boot(icount=TURNS, **options)
    assert result.verdict == "passed", result.told()
    assert not [line for line in result.output.lines if "# SKIP" in line]


@pytest.mark.parametrize("on, backend", PLACES)
def test_every_instruction(boot, on, backend):
    passes(boot, on=on, backend=backend, cpus=3, suite=RACES)


@pytest.mark.parametrize("on, backend", PLACES)
@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_lazy_mode(boot, on, backend, cpus):
    """With nobody else, with another CPU, and with some that have nothing to do: these must not fetch what runs there."""
    passes(boot, on=on, backend=backend, cpus=cpus, suite=EVERYWHERE)


@pytest.mark.parametrize("on, backend", PLACES)
def test_lazy_off(boot, on, backend):
    passes(boot, on=on, backend=backend, cpus=2, suite=EVERYWHERE, lazy="off")


def test_plain_stores(boot):
    passes(boot, on="xen", backend="ptwr", cpus=2, suite=EVERYWHERE)


@pytest.mark.parametrize("on, backend", QEMU)
def test_release_build(boot, release, on, backend):
    """Its instructions are others."""
    passes(boot, build=release, on=on, backend=backend, cpus=2, suite=EVERYWHERE)
