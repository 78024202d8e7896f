"""The judge: what a console says of a kernel, and a known bug of a known kernel, found and repeated.

Linux 7.0.4 as PV dom0 ends in a BUG of its lazy mode when a real-time task preempts vmap() in the wrong place (xen-devel, 2026,
"kernel BUG around vmap/vfree"); 7.3.4 does not. Both come from Debian's archive: where there is no network and they are not
in the cache, these tests are skipped by that reason."""

import dataclasses
import json
import os
import re
import subprocess

import pytest

from harness.catalogue import ROOT
from harness.judge import archive, boot, kernels, options, suites, symbols, verdicts
from harness.judge.options import job
from harness.judge.verdicts import Judged
from harness.options import UsageError
from harness.runner import run

GOOD = """\
[    1.000000] some line
[    1.500000] KTAP version 1
[    1.500001] 1..1
[    1.500002]     # Subtest: vmap
[    1.500003]     1..2
[    1.600000] | # progress vmap 1/1
[    1.700000]     ok 1 vmap
[    1.700001]     ok 2 kernel_untainted
[    1.700002] ok 1 vmap
[    1.700003] # verdict passed""".splitlines()

BUG = """\
[    1.650000] ------------[ cut here ]------------
[    1.650001] kernel BUG at arch/x86/include/asm/xen/hypervisor.h:85!
[    1.650002] Oops: invalid opcode: 0000 [#1] SMP NOPTI
[    1.650003] RIP: e030:xen_leave_lazy_mmu+0x44/0x50
[    1.650004] Call Trace:
[    1.650005]  remove_vm_area+0x40/0x70
[    1.650006] ---[ end trace 0000000000000000 ]---
[    1.690000] Kernel panic - not syncing: Fatal exception
[    1.690001] Rebooting in 1 seconds..
[    9.000000] what comes behind depends on how fast it is read""".splitlines()

# A line as Linux or Xen prints it, the verdict of a run that otherwise is good, and the pattern's name.
LINES = {
    "kernel BUG at mm/vmalloc.c:1!": "crashed", "BUG: unable to handle page fault for address: ffffc90000000000": "crashed",
    "BUG: kernel NULL pointer dereference, address: 0000000000000008": "crashed", "Oops: 0002 [#1] SMP": "crashed",
    "general protection fault, probably for non-canonical address 0x1: 0000 [#1]": "crashed",
    "Kernel panic - not syncing: Attempted to kill init!": "crashed",
    "BUG: KASAN: use-after-free in zap_pte_range+0x1/0x2": "crashed", "BUG: KCSAN: data-race in a / b": "failed",
    "WARNING: CPU: 0 PID: 1 at mm/memory.c:1 zap+0x1/0x2": "failed", "WARNING: mm/memory.c:1 at zap+0x1/0x2, CPU#0: vmap/1": "failed",
    "WARNING: possible circular locking dependency detected": "failed", "WARNING: suspicious RCU usage": "failed",
    "BUG: Bad page map in process vmap  pte:8000000012345067 pmd:12345067": "failed",
    "BUG: Bad rss-counter state mm:ffff888001 type:MM_ANONPAGES val:-1": "failed",
    "BUG: Bad page state in process zap  pfn:12345": "failed", "BUG: non-zero pgtables_bytes on freeing mm: 4096": "failed",
    "BUG: scheduling while atomic: vmap/1/0x00000002": "failed",
    "BUG: sleeping function called from invalid context at mm/util.c:1": "failed",
    "watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [vmap:77]": "hung", "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:": "hung",
    "rcu: INFO: rcu_preempt self-detected stall on CPU": "hung",
    "INFO: task vmap:77 blocked for more than 120 seconds.": "hung", "BUG: workqueue lockup - pool cpus=0 stuck for 31s!": "hung",
    "vmap invoked oom-killer: gfp_mask=0x1": "failed", "zap[77]: segfault at 0 ip 0000000000401000 sp 00007ffc error 4 in zap": "failed",
    "traps: zap[77] general protection fault ip:401000 sp:7ffc error:0 in zap": "failed",
    "1 of 2 multicall(s) failed: cpu 0": "failed",
    "(XEN) Domain 0 (vcpu#1) crashed on cpu#1:": "crashed", "(XEN) domain_crash called from mm.c:1": "crashed",
    "(XEN) Xen BUG at mm.c:1": "crashed", "(XEN) Panic on CPU 0:": "crashed", "(XEN) FATAL TRAP: vector = 2 (nmi)": "crashed",
    "(XEN) mm.c:1234:d0v1 Bad L1 flags 400000": "failed", "(XEN) mm.c:1:d0v0 Attempt to create linear p.t. with write perms": "failed",
    # harmless
    "Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on": "passed", "RETBleed: Vulnerable": "passed",
    "(XEN) Failed to convert E820 RAM f52f0-f5477 to RESERVED": "passed",
    "(XEN) Dom0 has maximum 2 VCPUs": "passed", "cpu 0 spinlock event irq 25": "passed",
    "debug: this line says BUG in its middle": "passed", "Linux version 7.0.4 (bug-free)": "passed",
}


def fed(lines: list[str]) -> Judged:
    output = Judged()
    for line in lines:
        output.feed(line)
    return output


def test_a_good_console_passes():
    output = fed(GOOD)
    assert output.verdict() == "passed" and output.complaints == [] and output.own_why() == []
    assert output.progress == "vmap 1/1" and output.program_lines == ["# progress vmap 1/1"]
    assert output.suite_clock() == pytest.approx(0.2, abs=0.001)


@pytest.mark.parametrize("left_out", range(1, len(GOOD)))
def test_whatever_is_missing_is_no_pass(left_out):
    """A line in the middle, or the end of the log."""
    if GOOD[left_out].endswith(("KTAP version 1", "progress vmap 1/1")):
        return
    assert fed(GOOD[:left_out] + GOOD[left_out + 1:]).verdict() != "passed"
    assert fed(GOOD[:left_out]).verdict() == "none"


@pytest.mark.parametrize("line", LINES)
def test_a_line_decides(line):
    at = f"[    1.650000] {line}" if not line.startswith("(XEN)") else line
    output = fed([*GOOD[:6], at, *GOOD[6:]])
    assert output.verdict() == LINES[line]
    assert bool(output.complaints) == (LINES[line] != "passed")


def test_what_a_program_prints_is_no_complaint():
    assert fed([*GOOD[:6], "[    1.650000] | kernel BUG at a program's heart", *GOOD[6:]]).verdict() == "passed"


def test_every_pattern_is_tried():
    """Each one is the first to fit some line above."""
    fitting = {found.name for line in LINES if (found := verdicts.match(line))}
    assert fitting == {p.name for p in verdicts.patterns()}
    assert all(p.why and p.verdict in (*verdicts.ORDER, verdicts.IGNORED) for p in verdicts.patterns())


def test_the_kernels_own_report():
    output = fed(GOOD[:6] + BUG)
    assert output.verdict() == "crashed" and output.over
    why = output.own_why()
    assert why[0] == "why: suite vmap, after 1.650 virtual seconds: kernel BUG at arch/x86/include/asm/xen/hypervisor.h:85!"
    assert [line.strip() for line in why if line.startswith("    ")] == [re.sub(r"^\[.*?\] +", "", line) for line in BUG[:7]]
    assert output.signature() == "kernel BUG at arch/x86/include/asm/xen/hypervisor.h:85! in xen_leave_lazy_mmu"
    assert output.raw[-1] == BUG[-2]  # and nothing that depends on the host


@pytest.mark.parametrize("flags, spoilt", [("0510802a", True), ("00010246", False), ("00000286", False), ("003f7fd7", False), ("00000a08", True),
                                           ("00000000", False), ("0000000000400202", True)])
def test_flags_that_no_processor_has(flags, spoilt):
    """QEMU 7.2's cmpxchg16b leaves such: the reader shall not look for the fault in the kernel."""
    report = [line.replace("RIP: ", "EFLAGS: " + flags + " RIP: ") for line in BUG]
    why = fed(GOOD[:6] + report).own_why()
    assert any("no processor sets" in line and f"flags {flags} " in line for line in why) == spoilt


def test_a_report_with_places_in_the_source(tmp_path):
    """Where the kernel was built with debug information; else it stays as it is."""
    source = tmp_path / "kernel.c"
    source.write_text("int counter;\n\nvoid breaks(void)\n{\n\tcounter++;\n}\n\nvoid _start(void)\n{\n\tbreaks();\n\tfor (;;)\n\t\t;\n}\n")
    image = tmp_path / "vmlinux"
    subprocess.run(["gcc", "-g", "-O0", "-static", "-nostdlib", "-no-pie", "-fcf-protection=none", "-o", image, source], check=True)
    report = ["RIP: 0010:breaks+0x4/0x20", " _start+0x9/0x20", " elsewhere+0x1/0x2", "no place"]
    assert symbols.annotate(report, image) == [f"{report[0]}  {source}:5", f"{report[1]}  {source}:10", *report[2:]]
    subprocess.run(["strip", image], check=True)
    symbols._functions.cache_clear()
    assert symbols.annotate(report, image) == report


def test_other_forms_of_the_time():
    """A kernel may print the CPU or the task beside it."""
    output = fed([line.replace("] ", "][    T1] ", 1) for line in GOOD])
    assert output.verdict() == "passed"


# --- in QEMU ---

@pytest.fixture
def pteron(tmp_path):
    """The front door, with logs of its own."""
    def call(*args: str, **environment: str) -> subprocess.CompletedProcess:
        done = subprocess.run(["./pteron", *args], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600,
                              env={**os.environ, "PTERON_RUNS": str(tmp_path / "runs"), **environment})
        print(done.stdout[-6000:] + done.stderr)
        return done
    return call


def have(name: str) -> str:
    """The kernel @name, which may have to be fetched."""
    try:
        return kernels.get(name).name
    except archive.ArchiveError as error:
        pytest.skip(str(error))


def test_a_known_bug_is_found_and_repeated(pteron, tmp_path):
    """By each of two seeds, that go different ways; and by the replay line, byte for byte."""
    bad = have("linux-7.0.4")
    done = pteron("run", "--kernel", bad, "--on", "xen", "--suite", "filter", "--seeds", "2")
    assert done.returncode == 3 and "2 runs: 2 crashed" in done.stdout
    assert re.search(r"kernel BUG at .*/xen/hypervisor.h:\d+! in xen_(enter|leave)_lazy_mmu", done.stdout)
    first, second = sorted((tmp_path / "runs").glob("*-crashed.log"))
    assert first.read_text() != second.read_text()
    assert pteron("replay", str(first)).returncode == 3
    assert sorted((tmp_path / "runs").glob("*-crashed.log"))[-1].read_text() == first.read_text()


def test_a_good_kernel_passes(pteron):
    good = have("linux-7.3.4")
    done = pteron("run", "--kernel", good, "--on", "xen", "--suite", "filter,vmap", "--rounds", "3", "--seeds", "2")
    assert done.returncode == 0 and "2 runs: 2 passed; no kernel complained" in done.stdout


@pytest.mark.parametrize("kernel, verdict, status", [("linux-7.3.4", "passed", 33), ("linux-7.0.4", "crashed", 37)])
@pytest.mark.long
def test_as_domu(kernel, verdict, status):
    """Started by xl in a dom0 of Debian's own Linux: what ends is the domain, and its reason must agree with what it said."""
    config = job(kernels.get(have(kernel)), "xl", ["filter"], 1, rounds=None if verdict == "crashed" else 2)
    boot.make_programs(config.build)
    result = run(config)
    print("\n".join(result.output.raw))
    assert result.verdict == verdict and result.status == status


def test_a_program_fails_and_another_is_skipped(monkeypatch):
    """fault insists on a power of two; Linux 5.10 has no MADV_COLLAPSE, and here no memory.high. /init says all, and QEMU's status agrees."""
    table = suites.all_suites()
    monkeypatch.setattr(suites, "all_suites", lambda: {**table, "fault": dataclasses.replace(table["fault"], pages=100)})
    config = job(kernels.get(have("linux-5.10")), "qemu", ["fault", "thp", "squeeze"], 1, rounds=1, cpus=1, append="cgroup_disable=memory")
    boot.make_programs(config.build)
    result = run(config)
    print("\n".join(result.output.raw))
    assert result.verdict == "failed" and result.status == 35 and result.exit_code == 1
    fault, thp, squeeze = result.output.suites
    assert fault.verdict == "failed" and "exited with status 1" in fault.cases[0].message and fault.cases[1].verdict == "passed"
    assert thp.verdict == "passed" and thp.cases[0].verdict == "skipped" and "MADV_COLLAPSE" in thp.cases[0].message
    assert squeeze.verdict == "passed" and squeeze.cases[0].verdict == "skipped" and "memory.high" in squeeze.cases[0].message
    assert any("FAIL fault" in line for line in result.output.program_lines)


def test_an_old_kernel_with_two_cpus_is_refused():
    """Natively and deterministically it would hang as it starts."""
    old, new = (kernels.Kernel("file", release, kernels.Path("/")) for release in ("6.1.0-57-amd64", "6.12.107+deb13-amd64"))
    options._check_turns(old, 1)
    options._check_turns(new, 2)
    with pytest.raises(UsageError, match="--on xen"):
        options._check_turns(old, 2)


def test_natively(pteron, tmp_path):
    """Every suite that runs by default, shortly; the same parser, JSON and summary as Pteron's own runs have."""
    done = pteron("run", "--kernel", have("linux-7.3.4"), "--rounds", "2", "--json", str(tmp_path / "result.json"))
    result = json.loads((tmp_path / "result.json").read_text())
    assert done.returncode == 0 and result["verdict"] == "passed" and result["complaints"] == []
    assert [s["name"] for s in result["suites"]] == [s.name for s in suites.all_suites().values() if s.default]
    assert all(c["verdict"] in ("passed", "skipped") for s in result["suites"] for c in s["cases"])


def test_no_such_version(pteron):
    try:
        kernels.available()
    except archive.ArchiveError as error:
        pytest.skip(str(error))
    done = pteron("run", "--kernel", "linux-7.0.5")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "no Linux 7.0.5" in done.stderr and "7.0.4 7.0.7" in done.stderr


@pytest.mark.parametrize("words, said", [
    (["--kernel", "linucks"], ["linux-VERSION"]),
    (["--kernel", "README.md"], ["neither a bzImage nor a vmlinux"]), (["--kernel", "/nowhere/vmlinux"], ["No such file"]),
    (["--kernel", "linux", "--bug", "no-harvest"], ["--bug does not go with --kernel"]),
    (["--kernel", "linux", "--suite", "futex"], ["no suite, tag or pattern 'futex'"]),
    (["--parallel"], ["another --kernel"]), (["--kernel", "linux", "--parallel", "--deterministic"], ["opposite"]),
])
def test_bad_usage_is_one_line(pteron, words, said):
    done = pteron("run", *words)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2 and "Traceback" not in done.stderr and len(lines) == 1, done.stderr
    assert all(word in lines[0] for word in said)
