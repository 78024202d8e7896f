"""Bad input to the kernel: command lines, boot modules, programs. Each gets an error that names it."""

import struct
import subprocess

import pytest

EM_X86_64 = 62


def said(result):
    return "\n".join(result.output.lines)


@pytest.mark.parametrize("words, message", [
    ("colour=blue", "colour=blue is not known; the parameters are: backend="),
    ("seed", "seed: seed= takes a number"),
    ("lazy=perhaps", "lazy=perhaps: lazy= takes on or off"),
    ("rounds=0", "rounds=0: rounds= takes a number from 1"),
    ("backend=vmware", "backend=vmware: there are native, deferred and shadow"),
    ("suite=vma,zap case=merging,nothing", "no suite that is chosen has a case nothing"),
    ("suite=nothing", "suite nothing is not known; there are: "),
    ("panic=nothing", "panic=nothing is not known; there are: null_read"),
])
def test_command_line(boot, words, message):
    result = boot(cpus=1, mem=128, append=words)
    assert result.verdict == "usage" and result.exit_code == 2
    assert message in said(result)


def elf(**changes):
    """A static ELF64 with one segment, or one with something wrong."""
    f = {"magic": b"\x7fELF", "cls": 2, "type": 2, "machine": EM_X86_64, "phnum": 1, "phoff": 64,
         "p_type": 1, "flags": 5, "offset": 0, "vaddr": 0x400000, "filesz": 160, "memsz": 160,
         "entry": 0x400078, "code": b"\x31\xff\xb8\xe7\x00\x00\x00\x0f\x05"} | changes
    header = struct.pack("<4s5B7xHHIQQQIHHHHHH", f["magic"], f["cls"], 1, 1, 0, 0, f["type"],
                         f["machine"], 1, f["entry"], f["phoff"], 0, 0, 64, 56, f["phnum"], 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", f["p_type"], f["flags"], f["offset"], f["vaddr"], f["vaddr"],
                          f["filesz"], f["memsz"], 4096)
    return (header + b"\0" * (f["phoff"] % 64) + segment + f["code"]).ljust(160, b"\0")


def run_module(boot, tmp_path, data):
    module = tmp_path / "module"
    module.write_bytes(data)
    return boot(cpus=1, mem=128, initrd=module, append="init=program")


def test_good_elf_runs(boot, tmp_path):
    """The sample itself is right: exit_group(0)."""
    result = run_module(boot, tmp_path, elf())
    assert "# verdict passed" in said(result)


def test_odd_program_headers(boot, tmp_path):
    """Nothing says that they are aligned."""
    result = run_module(boot, tmp_path, elf(phoff=67, entry=0x40007b))
    assert "# verdict passed" in said(result)


@pytest.mark.parametrize("changes, message", [
    ({"magic": b"\x7fELG"}, "module: program: the archive has a header that is not newc"),
    ({"cls": 1}, "program is not for x86-64"),
    ({"machine": 40}, "program is not for x86-64"),
    ({"type": 3}, "program is not a static executable"),
    ({"phnum": 1000}, "program has program headers that lie outside of the file"),
    ({"phoff": 1 << 60}, "program has program headers that lie outside of the file"),
    ({"entry": 1 << 63}, "program has an entry that lies outside of user memory"),
    ({"entry": (1 << 47) - 4096}, "program has an entry that lies outside of user memory"),
    ({"entry": (1 << 64) - 4096}, "program has an entry that lies outside of user memory"),
    ({"entry": 0}, "killed by signal 11"),
    ({"p_type": 0}, "program has nothing to load"),
    ({"memsz": 0, "filesz": 0}, "program has nothing to load"),
    ({"p_type": 3}, "program needs a dynamic linker"),
    ({"filesz": 161}, "program has a segment with more bytes in the file than in memory"),
    ({"offset": 64}, "program has a segment that lies outside of the file"),
    ({"offset": (1 << 64) - 64}, "program has a segment that lies outside of the file"),
    ({"vaddr": 1 << 47}, "program has a segment that lies outside of user memory"),
    ({"memsz": (1 << 64) - 1, "filesz": 0}, "program has a segment that lies outside of user memory"),
    ({"vaddr": 0}, "segment 0 at 0 cannot be mapped: error -1"),
    ({"vaddr": 0x500000}, "killed by signal 11"),
])
def test_bad_elf(boot, tmp_path, changes, message):
    result = run_module(boot, tmp_path, elf(**changes))
    assert message in said(result).replace("at 0x0", "at 0")
    assert "# verdict failed" in said(result)


def test_short_module(boot, tmp_path):
    assert "is not an ELF file" in said(run_module(boot, tmp_path, b"\x7fELF"))


def test_damaged_archive(boot, tmp_path, debug):
    data = debug.initrd.read_bytes()
    result = run_module(boot, tmp_path, data[:2000])
    assert "the archive has a file that reaches beyond its end" in said(result)


def test_missing_program(boot):
    result = boot(cpus=1, mem=128, append="init=nobody")
    assert "module: nobody: the archive has no such file" in said(result)


def test_archive_of_the_user(boot, tmp_path, debug):
    """A newc archive with several programs, and arguments for one of them."""
    (tmp_path / "files").mkdir()
    for name in ("zap", "fork"):
        (tmp_path / "files" / name).write_bytes((debug.directory / "user" / name).read_bytes())
    archive = subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], input=b"zap\nfork\n",
                             cwd=tmp_path / "files", capture_output=True, check=True).stdout
    module = tmp_path / "module"
    module.write_bytes(archive)
    result = boot(cpus=2, initrd=module, append="init=fork+5+10+3+128")
    assert "init: fork exited with status 0" in said(result)


def test_system_calls(boot):
    result = boot(cpus=2, append="init=syscalls")
    assert "# verdict passed" in said(result)
    assert said(result).count("there is no system call 510 (ENOSYS)") == 1
    assert "killed by signal 11: access without a mapping or right at" in said(result)
