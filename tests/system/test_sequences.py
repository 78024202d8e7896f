"""All sequences of tests/user/sequences.c up to length 5; the boots of the matrix run a part that their seed chooses."""

import re

import pytest

ALL = 1_000_000  # groups of sequences: more than there are
SOME = 150


@pytest.mark.parametrize("on, backend, tables, rounds", [
    ("qemu", "native", "on", ALL), pytest.param("xen", "xen", "on", ALL, marks=pytest.mark.long), ("xen", "xen", "on", SOME),
    ("qemu", "deferred", "on", SOME), ("qemu", "shadow", "on", SOME),
    ("qemu", "native", "off", SOME), ("xen", "xen", "off", SOME // 3)])
def test_sequences(boot, on, backend, tables, rounds):
    result = boot(on=on, backend=backend, tables=tables, cpus=2, suite="sequences", rounds=rounds, icount=4)
    assert result.verdict == "passed", result.told()
    count = next(int(m[1]) for line in result.output.lines if (m := re.search(r"# sequences: (\d+) of them", line)))
    assert (count > 25_000) == (rounds == ALL)
