"""Programs of Linux with a C library (musl): the same binaries on the host's Linux, which judges the
programs themselves, and on Pteron by ./pteron run --initrd FILE -- PROGRAM."""

import calendar
import os
import subprocess
import time

import pytest

from harness import program
from harness.catalogue import ROOT

# What the programs say and how they end must be the same on Linux; so it is asked, not written here.
RUNS = [["hello", "two words", "a,b+c%20d\"e'f", "", "-x"], ["threads"], ["memory"], ["forks"], ["cputime"], ["calls", "CPUS"]]
WAYS = [("qemu", "native", 1), ("qemu", "native", 4), ("qemu", "deferred", 4), ("qemu", "shadow", 4), ("xen", "xen", 4)]
# argument of end: the exit status, or minus the signal, as subprocess tells it
ENDS = {"exit 0": 0, "exit 3": 3, "exit 255": 255, "thread 4": 4, "asleep 5": 5, "abort": -6, "raise 15": -15, "blocked 10": -10,
        "segv": -11, "assert": -6}


@pytest.fixture(scope="session")
def musl(debug):
    debug.make("musl")
    return debug.musl


def on_linux(musl, argv):
    """With an empty environment, as on Pteron; in the archive's folder, so that argv[0] is the same."""
    return subprocess.run([f"./bin/{argv[0]}", *argv[1:]], cwd=musl, env={}, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=120, check=False)


def on_pteron(boot, musl, argv, **options):
    return boot(initrd=musl.with_name("musl.cpio"), program=(f"./bin/{argv[0]}", *argv[1:]), **options)


def lost_lines(done, result):
    """What the program printed on Linux, and not on Pteron."""
    printed = [line for line in (done.stdout + "\n" + done.stderr).split("\n") if line]
    return [line for line in printed if line not in result.output.lines]


def date(lines):
    return int(next(line for line in lines if line.startswith("date ")).split()[1])


@pytest.mark.parametrize("on, backend", [("qemu", "native"), ("xen", "xen")])
def test_date(boot, musl, on, backend):
    """The PC's clock has whole seconds; TCG beside other work may take its time between two of the program's lines."""
    before = time.time()
    result = on_pteron(boot, musl, ["date"], on=on, backend=backend)
    assert result.output.program_end == "exited with status 0"
    assert before - 2 <= date(result.output.lines) <= time.time() + 2


def test_date_of_a_deterministic_run(boot, musl):
    """It repeats itself, so its date is not the host's."""
    result = on_pteron(boot, musl, ["date"], icount=0)
    assert 0 <= date(result.output.lines) - calendar.timegm((2026, 1, 1, 0, 0, 0)) <= 60


def test_date_on_linux(musl):
    before = int(time.time())
    assert before <= date(on_linux(musl, ["date"]).stdout.splitlines()) <= time.time()


def with_cpus(argv, cpus):
    return [str(cpus) if arg == "CPUS" else arg for arg in argv]


@pytest.mark.parametrize("argv", RUNS, ids=lambda argv: argv[0])
def test_runs_on_linux(musl, argv):
    """sched_getaffinity() tells the CPUs there: as many as Python sees."""
    cpus = len(os.sched_getaffinity(0))
    done = on_linux(musl, with_cpus(argv, cpus))
    assert done.returncode == 0, done.stdout
    assert "FAIL" not in done.stdout


@pytest.mark.parametrize("on, backend, cpus", WAYS)
@pytest.mark.parametrize("argv", RUNS, ids=lambda argv: argv[0])
def test_runs_on_pteron(boot, musl, argv, on, backend, cpus):
    result = on_pteron(boot, musl, with_cpus(argv, cpus), on=on, backend=backend, cpus=cpus)
    assert result.verdict == "passed", result.told()
    assert result.output.program_end == "exited with status 0"
    if argv[0] != "calls":  # whose argument differs
        assert not lost_lines(on_linux(musl, argv), result)


@pytest.mark.parametrize("how, status", ENDS.items())
def test_ends(boot, musl, how, status):
    argv = ["end", *how.split()]
    done = on_linux(musl, argv)
    assert done.returncode == status
    result = on_pteron(boot, musl, argv)
    assert not lost_lines(done, result)
    assert result.verdict == ("failed" if status else "passed")
    assert result.output.program_end == (f"was ended by signal {-status}" if status < 0
                                         else f"exited with status {status}")


def test_as_domu(boot, musl):
    result = on_pteron(boot, musl, RUNS[0], on="xl", backend="xen")
    assert result.verdict == "passed", result.told()
    assert "argument 1: [two words]" in result.output.lines


@pytest.mark.parametrize("path", ["pvh", "bios"])
def test_one_elf_and_a_path_with_a_comma(boot, musl, tmp_path, path):
    """A program alone, not in an archive; by GRUB, too."""
    alone = tmp_path / "a, b"
    alone.write_bytes((musl / "bin/hello").read_bytes())
    result = boot(initrd=alone, program=("any name",), boot=path)
    assert result.verdict == "passed" and "argument 0: [any name]" in result.output.lines


def test_path_with_a_comma_on_xen(boot, musl, tmp_path):
    archive = tmp_path / "a, b"
    archive.write_bytes(musl.with_name("musl.cpio").read_bytes())
    result = boot(on="xen", backend="xen", initrd=archive, program=("/bin/hello",))
    assert result.verdict == "passed", result.told()


def cli(*args, **options):
    return subprocess.run([ROOT / "pteron", "run", "--accel", "tcg", *args], capture_output=True, text=True,
                          check=False, timeout=300, **options)


def test_front_door(musl, replayed):
    done = cli("--initrd", "musl.cpio", "--cpus", "1", "--", "/bin/end", "exit", "7",
               env={"PATH": "/usr/bin:/bin"}, cwd=musl.parent)
    assert done.returncode == 1
    assert "/bin/end exit 7: exited with status 7" in done.stdout and "FAILED" in done.stdout
    again = replayed(done)  # from another folder
    assert again.returncode == 1 and "exited with status 7" in again.stdout


def test_options_of_the_program_are_its_own(musl):
    done = cli("--initrd", str(musl.with_name("musl.cpio")), "--", "bin/hello", "--help", "--cpus", "--", "xl")
    assert done.returncode == 0, done.stderr
    for line in ("argument 1: [--help]", "argument 3: [--]", "argument 4: [xl]"):
        assert line in done.stdout


@pytest.fixture
def files(tmp_path, musl):
    """Files that are no good, and one that is."""
    good = musl.with_name("musl.cpio").read_bytes()
    for name, data in (("good", good), ("cut", good[:5000]), ("empty", b""), ("text", b"hello"),
                       ("packed", b"\x1f\x8b" + good), ("odc", b"070707" + good[6:]), ("bad", good[:110] + good[200:])):
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize("args, message", [
    (["--initrd", "nowhere", "--", "/bin/hello"], "nowhere: No such file"),
    (["--initrd", ".", "--", "/bin/hello"], "Is a directory"),
    (["--initrd", "empty", "--", "/bin/hello"], "empty is neither an ELF program nor a cpio archive in the newc"),
    (["--initrd", "text", "--", "/bin/hello"], "text is neither an ELF program nor a cpio archive"),
    (["--initrd", "packed", "--", "/bin/hello"], "packed is compressed, neither an ELF program nor a cpio archive"),
    (["--initrd", "odc", "--", "/bin/hello"], "cpio -o -H newc"),
    (["--initrd", "cut", "--", "/bin/hello"], "cut is cut off in bin/"),
    (["--initrd", "bad", "--", "/bin/hello"], "bad is damaged: there is no newc header at byte"),
    (["--initrd", "good", "--", "/bin/nobody"], "holds no file /bin/nobody; its files: bin/"),
    (["--initrd", "good", "--", "bin"], "holds no file bin; its files: bin/"),
    (["--initrd", "good"], "say which program of it to run"),
    (["--initrd", "good", "--"], "after -- comes the name of a program"),
    (["--initrd", "good", "--", ""], "after -- comes the name of a program"),
    (["--initrd", "good", "--suite", "zap", "--", "/bin/hello"], "does not go with --suite"),
    (["--initrd", "good", "--", "/bin/hello", *"x" * 31, "one-too-many"], "the first beyond is 'one-too-many'"),
    (["--initrd", "good", "--", "/bin/hello", "a", "y" * 800], "the longest is 'yyyy"),
    (["--initrd", "good", "--append", "trace=on " * 300, "--", "/bin/hello"], "command line is too long"),
])
def test_refused_before_the_boot(files, args, message):
    done = cli(*args, cwd=files)
    assert done.returncode == 2, done.stdout
    assert message in done.stderr


def test_only_some_commands_take_a_program():
    done = subprocess.run([ROOT / "pteron", "list", "--", "/bin/hello"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "only run, trace and gdb take one" in done.stderr


def test_as_many_arguments_as_there_may_be(boot, musl):
    argv = ["hello", *(str(n) for n in range(31))]
    result = on_pteron(boot, musl, argv)
    assert "argument 31: [30]" in result.output.lines
    assert program.word(("p", "a b", "", "c+d")) == "init=p+a%20b++c%2Bd"


@pytest.mark.parametrize("flags, message", [
    (["-static-pie"], "is not a static executable at fixed addresses (link with -static -no-pie)"),
    (["-no-pie"], "needs a dynamic linker"),
])
def test_dynamic_programs_are_refused(boot, musl, tmp_path, flags, message):
    source = ROOT / "tests/user/musl/end.c"
    subprocess.run(["musl-gcc", *flags, source, "-o", tmp_path / "end"], check=True)
    result = boot(initrd=tmp_path / "end", program=("end", "exit", "0"))
    assert result.verdict == "failed"
    assert message in "\n".join(result.output.lines)
