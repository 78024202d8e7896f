"""What is no fault loop must not be taken for one; what is one is among the seeded bugs (fault-loop-*)."""

import pytest



@pytest.mark.parametrize("on, backend", [("qemu", "native"), ("qemu", "shadow"), ("xen", "xen")])
def test_many_faults_at_one_instruction(boot, debug, on, backend):
    """The program faults by the ten thousand, in ring 3 and in the kernel's copies, and always goes on."""
    debug.make("musl")
    result = boot(on=on, backend=backend, cpus=1, initrd=debug.musl / "bin/loops", program=("loops",))
    assert result.verdict == "passed" and result.output.program_lines[-1] == "ok"
    assert result.output.counters["page_faults"] > 7 * 10_000
