"""The documents that are made from the code say what the code does."""

import shutil

import pytest

from harness import syscalls
from harness.catalogue import ROOT


@pytest.fixture
def tree(tmp_path):
    """The sources that docs/syscalls.md is made of."""
    for folder in ("kernel", "mm"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_syscalls_are_the_tables(tree):
    text = syscalls.document(tree)
    assert text == (ROOT / syscalls.DOCUMENT).read_text(encoding="utf-8")
    assert "| `madvise` (28) |" in text and "`openat`" in text.split("## Not there")[1]


@pytest.mark.parametrize("file, old, new, said", [
    (syscalls.TABLE, '[getsid]\ndoes = "as on Linux"\n', "", "[getsid] is missing"),
    (syscalls.TABLE, "[getsid]", "[openat]", "[openat] is defined nowhere"),
    (syscalls.TABLE, 'refuses = "handlers (ENOSYS)"\n', "", "[rt_sigaction] does not say"),
    ("kernel/process/ids.c", "SYSCALL_DEFINE1(getsid, int, pid)", "static long getsid(int pid)", "[getsid] is defined nowhere"),
    ("mm/space/mmap_change.c", 'unsupported(EINVAL, "madvise', 'unsupported(EPERM, "madvise', "[madvise] does not say"),
])
def test_syscalls_that_differ_are_refused(tree, file, old, new, said):
    edit(tree / file, old, new)
    with pytest.raises(syscalls.SyscallsError) as error:
        syscalls.document(tree)
    assert said in str(error.value)
