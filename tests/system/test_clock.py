"""The clock: what a boot finds the TSC's rate to be, beside as much work as the host can be given.

PTERON_CLOCK_BOOTS=100 pytest tests/system/test_clock.py is the long form."""

import os
import re
import subprocess

import pytest

BOOTS = int(os.environ.get("PTERON_CLOCK_BOOTS", "4"))
BUSY_LOOPS = 4

# Without -icount the TSC that QEMU's TCG shows is the host's. Its rate, by the host's own clock: each
# reading of that one stands between two of the TSC, and the tightest of many counts.
TRUE_RATE = r"""
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>
struct reading { double ns; unsigned long tsc, width; };
static struct reading once(void)
{
	struct timespec t;
	unsigned long before = __rdtsc();
	clock_gettime(CLOCK_MONOTONIC, &t);
	unsigned long after = __rdtsc();
	return (struct reading){t.tv_sec * 1e9 + t.tv_nsec, before + (after - before) / 2, after - before};
}
static struct reading tightly(void)
{
	struct reading best = once();
	for (int i = 0; i < 1000; i++) {
		struct reading r = once();
		if (r.width < best.width)
			best = r;
	}
	return best;
}
int main(void)
{
	struct reading a = tightly();
	usleep(500000);
	struct reading b = tightly();
	printf("%f\n", (b.tsc - a.tsc) / (b.ns - a.ns) * 1e3);
}
"""


@pytest.fixture(name="true_mhz")
def fixture_true_mhz(tmp_path) -> float:
    (tmp_path / "rate.c").write_text(TRUE_RATE)
    subprocess.run(["gcc", "-O2", tmp_path / "rate.c", "-o", tmp_path / "rate"], check=True)
    return float(subprocess.run([tmp_path / "rate"], capture_output=True, text=True, check=True).stdout)


@pytest.fixture(name="busy_host")
def fixture_busy_host():
    loops = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(BUSY_LOOPS)]
    yield
    for loop in loops:
        loop.kill()
        loop.wait()


def rate(result) -> float:
    found = [re.search(r"# clock: TSC at ([\d.]+) MHz", line) for line in result.output.lines]
    return next(float(match[1]) for match in found if match)


@pytest.mark.usefixtures("busy_host")
def test_rate_beside_busy_loops(boot, true_mhz):
    rates = [rate(boot(suite="vma", accel="tcg", seed=seed)) for seed in range(1, BOOTS + 1)]
    wrong = [found for found in rates if abs(found / true_mhz - 1) > 0.01]
    assert not wrong, f"{len(wrong)} of {BOOTS} boots: {wrong}, and not {true_mhz}"


@pytest.mark.parametrize("on,backend", [("qemu", "native"), ("xen", "xen")])
def test_instructions_are_nanoseconds(boot, on, backend):
    """With -icount the TSC has one tick in a nanosecond of QEMU's clock."""
    assert abs(rate(boot(on=on, backend=backend, suite="vma", icount=4)) - 1000) < 1
