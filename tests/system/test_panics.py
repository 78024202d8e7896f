"""Every rule of the kernel, broken on purpose (tests/panics.c): its check must say so."""

import re

import pytest

from harness.bug_files import Edit
from harness.catalogue import ROOT
from harness.mutants import oracle
from harness.report import summary
from harness.tree import EditedBuild

# What the report must say. A violation that is not listed here fails test_all_are_listed.
REPORTS = {
    "null_read": "read at 18 in the kernel",
    "write_text": "write at ffffffff80200000 in the kernel",
    "write_text_through_direct_map": "write at ffff888000200000 in the kernel",
    "execute_data": "jump at .* in the kernel",
    "stack_overflow": "kernel stack overflow",
    "user_access": "read at .* in the kernel",
    "lock_order": "LOCK_TEST .* taken while LOCK_TEST_IRQ .* is held",
    "lock_twice": "taken twice by one task",
    "lock_not_owned": "released by main, owned by nobody",
    "lock_irq_unsafe": "here with interrupts on",
    "sleep_with_lock": "sched_yield with LOCK_PTE held",
    "enter_unlocked": "arch_enter_lazy_mmu_mode: .*held_of_class",
    "leave_unlocked": "arch_leave_lazy_mmu_mode: .*held_of_class",
    "unlock_queued": "unlocked with updates still queued",
    "read_hazard": "read hazard",
    "read_of_no_table": "lies in no table any more",
    "leave_twice": "LAZY_DEPTH_MASK",
    "resume_without_pause": "LAZY_PAUSE_MASK",
    "lazy_at_exit": "ends with lazy state 0x1",
    "lazy_queue_at_exit": "ends with updates in the queue",
    "lock_at_exit": "a task ends with LOCK_PTE held",
    "fault_in_section": "do_page_fault: assertion failed: !.*lazy_mmu",
    "kernel_map_in_section": "kernel_map: .*is_lazy_mmu_mode_active",
    "unlock_owed": "a PTE page is unlocked while the invalidation of (0x)?40000000-(0x)?40001000 is owed, by unlock_owed",
    "leave_owed": "a section is left while the invalidation of (0x)?40000000-(0x)?40001000 is owed, by leave_owed",
    "unlink_owed": "mmap_lock is given back while tables are unlinked",
    "put_owed": "a page is put while the invalidation of (0x)?40000000-(0x)?40001000 is owed, by put_owed",
    "swing_owed": "is set while .* may still be known",
    "change_unlocked": "the entry at .* changes, and its PTE page is not locked",
    "push_down_unlocked": "mmap_assert_locked: ",
    "move_as_reader": "mmap_assert_write_locked: ",
    "commit_unlocked": r"assert_still_locked: .*tc->locked == lockdep_is_held\(",
    "commit_under_anothers_lock": r"assert_still_locked: .*links_may_change\(",
    "commit_after_a_break": r"assert_still_locked: .*tc->turn == ",
    "collect_of_two": r"note_lock: .*mm == tc->mm",
    "offset_of_nothing": "the entry (0x)?0 of level 2 links no table of level 1",
    "free_unflushed": "assert_flushed",
    "free_twice": "PAGE_FREE",
    "write_after_free": "free page .* was written",
    "write_after_object_free": "free object .* was written",
    "lost_dirty_bit": "dirty ledger",
    "table_not_empty": "is freed with entry 0",
}
# What only Xen can refuse. In a domU, because to a dom0 Xen emulates a plain store all the same.
XEN_REPORTS = {
    "bypass_the_table": r"write at ffff8880\w* in the kernel, error code (0x)?3",
    "refused_update": r"update 0 of 1 refused: error -16, table pfn (0x)?\w+ mfn (0x)?\w+ entry 0, "
                      r"is (0x)?0, new (0x)?\w+, command 0, by refused_update\+0x",
}


def test_all_are_listed():
    names = re.findall(r"V\((\w+)\)", (ROOT / "tests/panics.c").read_text())
    assert set(names) - {"f"} == set(REPORTS) | set(XEN_REPORTS) | {"hang", "reset"}


@pytest.mark.parametrize("name", REPORTS)
def test_is_noticed(boot, name):
    # deferred, because only a backend that queues can read what is queued
    result = boot(backend="deferred", cpus=2, mem=128, append=f"panic={name}")
    assert result.verdict == "crashed" and result.exit_code == 3
    assert re.search("# panic: .*" + REPORTS[name].replace("0x1", "(0x)?1"),
                     "\n".join(result.output.lines))


@pytest.mark.parametrize("name", XEN_REPORTS)
def test_is_noticed_on_xen(boot, name):
    result = boot(on="xl", backend="xen", cpus=2, mem=128, append=f"panic={name}")
    assert result.verdict == "crashed" and result.status == 37
    text = "\n".join(result.output.lines)
    assert re.search("# panic: .*" + XEN_REPORTS[name], text)
    # The NMI says where it met the other CPU: mostly halted, but an NMI can come in any task, at any instruction. The
    # names of such places have dots: symbol_name() takes gcc's `.part.0` and NASM's `..@520.site`, too.
    stopped = [line for line in result.output.lines if re.match(r"# cpu \d: ", line)]
    assert len(stopped) == 1 and re.match(r"# cpu \d: stopped in task \S+ at \S+\+0x", stopped[0])


@pytest.mark.parametrize("name", ["write_text", "write_text_through_direct_map", "execute_data"])
def test_rights_of_the_image_on_xen(boot, name):
    """Where the tables of the image are Xen's, and a dom0's plain stores might be emulated."""
    result = boot(on="xen", backend="xen", cpus=1, mem=128, append=f"panic={name}")
    assert result.verdict == "crashed" and result.exit_code == 3
    assert re.search("# panic: .*" + REPORTS[name], "\n".join(result.output.lines))


def test_report_is_complete(boot):
    """Everything that a panic promises to print."""
    result = boot(backend="deferred", cpus=3, mem=128, append="panic=read_hazard")
    text = "\n".join(result.output.lines)
    for pattern in (r"# cpu \d task \d+ main", r"# rip 0008:[0-9a-f]{16} ptep_assert", r"# rsp 0010:", r"\] ptep_assert_not_queued\+0x", r"\] read_hazard\+0x",
                    r"# holds LOCK_PTE at ", r"# lazy: word 0?x?1: depth 1", r"# queue: 1 updates",
                    r"maddr .* <- .* by read_hazard", r"# cpu \d: stopped in task idle/\d",
                    r"# replay: \./pteron run .*--backend deferred --cpus 3 .*--append"):
        assert re.search(pattern, text), pattern


def test_report_of_a_fault(boot):
    """Registers and the page walk of the faulting address."""
    text = "\n".join(boot(cpus=1, mem=128, append="panic=write_text").output.lines)
    for pattern in (r"# rip 0008:[0-9a-f]{16} write_text\+0x", r"# rsp ", r"# r13 ",
                    r"page walk of (0x)?ffffffff80200000", r"L4 [0-9a-f]{16} present rw",
                    r"L1 [0-9a-f]{16} present(?! rw)"):
        assert re.search(pattern, text), pattern


def test_hang_is_a_clear_failure(boot):
    """A CPU that spins with interrupts off: the watchdog's NMI makes it say where."""
    result = boot(cpus=2, mem=128, append="panic=hang", patience=8)
    assert result.verdict == "hung" and result.exit_code == 3
    text = "\n".join(result.output.lines)
    assert "# hang: NMI" in text and "# verdict hung" in text and re.search(r"\] hang\+0x|hang\+0x", text)
    assert "RIP=" in result.state and re.search(r"CPU \d in hang\+0x", result.where)
    told = result.told().splitlines()
    assert told[:2] == [f"hung: {result.where}", "why: nothing more was said, before the first suite"]
    assert told[2].startswith("# hang: NMI") and "# backtrace:" in told and not any("counter" in line for line in told)
    assert told[-1] == f"replay: {result.config.replay()}"


def test_reset_is_no_verdict(boot):
    result = boot(cpus=2, mem=128, append="panic=reset")
    assert result.verdict == "none" and result.exit_code == 3


# A clock's page whose version is odd for ever. Who prints the panic may ask no clock.
TORN_CLOCKS = {
    "read_time_page": Edit("pv/xen/irq.c", "version = t->version;", "version = t->version | 1;"),
    "read_wall_clock": Edit("pv/xen/irq.c", "version = si->wc_version;", "version = si->wc_version | 1;"),
}


@pytest.mark.parametrize("reader", TORN_CLOCKS)
def test_a_clock_that_is_none_is_noticed(boot, tmp_path, reader):
    build = EditedBuild(root=tmp_path / "tree", bug="torn-clock", edits=(TORN_CLOCKS[reader],))
    build.make()
    result = boot(build=build, on="xen", backend="xen", cpus=2, mem=128, suite="alloc", patience=30)
    text = "\n".join(result.output.lines)
    assert result.verdict == "crashed" and result.exit_code == 3
    assert re.search(r"# panic: xen: a clock's page changes at each look, from version \d*[13579] to \d*[02468]\n", text)
    assert re.search(r"#   \[[0-9a-f]+\] (read_wall_clock|xen_clock_init|" + reader + r")\+0x", text)
    assert "# verdict crashed" in text


LOST_WAKE = Edit("kernel/process/futex.c", "\t\tw->woken = true;\n\t\twake_up_task(w->task);\n", "\t\tw->woken = true;\n")


@pytest.mark.parametrize("on, backend", [("qemu", "native"), ("xen", "xen")])
def test_a_hang_names_who_waits_for_what(boot, tmp_path, on, backend):
    """A kernel that loses wake-ups: every CPU idles, and the tasks that sleep for ever are named."""
    build = EditedBuild(root=tmp_path / "tree", bug="lost-wake", edits=(LOST_WAKE,))
    build.make()
    result = boot(build=build, on=on, backend=backend, cpus=2, mem=128, suite="fault", rounds=4, icount=4, patience=10)
    text = "\n".join(result.output.kernel_lines)
    assert result.verdict == "hung" and "# verdict hung" in text and "# panic" not in text
    assert re.search(r"# task \d+ fault: blocked, interruptible, cpu \d\n#   waits for futex [0-9a-f]+ for \d+\.\d{3} s\n"
                     r"# backtrace:\n", text)
    assert re.search(r"# task \d+ main: blocked, cpu \d\n#   waits for wait queue [0-9a-f]+ for", text)
    assert "] futex_wait_bits+0x" in text and "] process_wait+0x" in text
    assert re.fullmatch(r"hung: task \d+ \w+ waits for .* for .* s", oracle(result))
    assert "HUNG" in summary(result)
