"""How ./pteron ends: exit statuses, signals, files that are whole or not there, and no traceback ever."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest

from harness import kvm
from harness.catalogue import ROOT
from harness.machine import Config
from harness.options import Arguments
from harness.tree import Tree

TROUBLE = 125
FAST = ["--suite", "vma", "--accel", "tcg", "--mem", "128"]


def pteron(*args, shell="", **options):
    """With @shell behind the command, as `| head -1`; then the status is the front door's own."""
    command = ["bash", "-c", f'./pteron "$@" {shell}; exit ${{PIPESTATUS[0]}}', "pteron", *args]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300, **options)


@pytest.mark.parametrize("args, status, says", [
    (["run", *FAST, "--cpu", "Nothing"], TROUBLE, "unable to find CPU model 'Nothing'"),
    (["run", *FAST, "--cc", "false"], TROUBLE, "the build failed"),
    (["run", *FAST, "--cc", "nonexistent -O1"], 2, "there is no compiler 'nonexistent'; there are: gcc clang"),
    (["run", *FAST, "--cpus", "65"], 2, "TCG takes 1 to 64"),
    (["run", *FAST, "--deterministic", "--accel", "kvm"], 2, "only TCG counts instructions"),
    (["run", *FAST, "--append", "backend=deferred"], 2, "--append backend=deferred: use --backend"),
    (["run", *FAST, "--append", "trace=on seed=7"], 2, "--append seed=7: use --seed"),
    (["run", "--suite", "mprotct"], 2, "did you mean mprotect?"),
    (["run", "--bug", "coalesce-oldr"], 2, "did you mean coalesce-older?"),
    (["run", "--sute", "vma"], 2, "did you mean --suite"),
    (["runn"], 2, "did you mean run?"),
    (["trace", *FAST, "--release"], 2, "only debug builds"),
    (["trace", *FAST, "--output", "/nowhere/t.json"], 2, "--output /nowhere/t.json: No such file"),
    (["run", "--initrd", "/bin/true", "--", "/bin/true"], 2, "link it with -static -no-pie"),
    (["run", "--initrd", "build/gcc-debug/pteron.elf", "--", "x"], 2, "it is linked as a kernel is"),
])
def test_status_and_reason(args, status, says):
    done = pteron(*args)
    assert done.returncode == status, done.stdout + done.stderr
    assert says in done.stdout + done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("choices", ["'run', 'survey'", "run, survey"])
def test_what_was_meant(choices, capsys):
    """As older and newer Pythons say what there is."""
    with pytest.raises(SystemExit):
        Arguments(prog="pteron").error(f"argument COMMAND: invalid choice: 'runn' (choose from {choices})")
    assert "did you mean run?" in capsys.readouterr().err


@pytest.mark.parametrize("shell, says", [("| head -1", ""), (">&-", "standard output is closed"), ("> /dev/full", "No space left")])
def test_nobody_reads(shell, says):
    done = pteron("run", *FAST, shell=shell)
    assert done.returncode == TROUBLE and says in done.stderr
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr


def _hears_all() -> None:
    """A job in the background has SIGINT ignored, one of nohup SIGHUP, and so have those that they start."""
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(tmp_path, number):
    """The machine ends at once, what ran so far is told, and nothing is left behind."""
    scratch, result = tmp_path / "tmp", tmp_path / "result.json"
    scratch.mkdir()
    with subprocess.Popen(["./pteron", "run", "--accel", "tcg", "--suite", "vma,mix", "--rounds", "1000000", "--json", str(result)],
                          cwd=ROOT, env={**os.environ, "TMPDIR": str(scratch)}, text=True, preexec_fn=_hears_all,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        shown = [next(line for line in run.stdout if "Subtest: mix" in line)]
        assert list(scratch.iterdir())
        sent = time.monotonic()
        run.send_signal(number)
        late = threading.Timer(30, run.kill)
        late.start()
        shown += run.stdout.readlines()
        late.cancel()
    text = "".join(shown)
    assert run.returncode == TROUBLE, text
    assert time.monotonic() - sent < 5 and not list(scratch.iterdir())
    assert re.search(r"^vma +passed", text, re.M) and re.search(r"^mix +incomplete", text, re.M), text
    assert "INTERRUPTED" in text and "replay: ./pteron run" in text and "Traceback" not in text
    assert json.loads(result.read_text())["verdict"] == "interrupted"


def test_nohup_is_obeyed():
    """What is ignored from the start stays so: a run outlives the terminal."""
    with subprocess.Popen(["nohup", "./pteron", "run", "--accel", "tcg", "--suite", "vma,zap"], cwd=ROOT, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as run:
        next(line for line in run.stdout if "Subtest: zap" in line)
        run.send_signal(signal.SIGHUP)
        text = run.stdout.read()
    assert run.returncode == 0 and "PASSED" in text, text


def test_json_is_whole_or_not_there(tmp_path):
    """An old result is not taken for the new one's; the new one comes by a rename."""
    path = tmp_path / "r.json"
    path.write_text("old")
    assert pteron("run", *FAST, "--cpu", "Nothing", "--json", str(path)).returncode == TROUBLE
    assert json.loads(path.read_text())["verdict"] == "unstarted" and list(tmp_path.iterdir()) == [path]
    path.write_text("old")
    assert pteron("run", *FAST, "--cc", "false", "--json", str(path)).returncode == TROUBLE
    assert not list(tmp_path.iterdir())


def test_json_to_standard_output():
    done = pteron("run", *FAST, "--json", "-")
    assert json.loads(done.stdout)["verdict"] == "passed" and "KTAP version 1" in done.stderr


def test_replay_of_json(tmp_path):
    path = tmp_path / "r.json"
    assert pteron("run", *FAST, "--seed", "77", "--json", str(path)).returncode == 0
    done = pteron("replay", str(path))
    assert done.returncode == 0 and "seed 77: PASSED" in done.stdout


def test_trace_from_another_folder(tmp_path):
    """Its default is in the tree, as all that is built."""
    done = subprocess.run([ROOT / "pteron", "trace", *FAST, "--suite", "pgtable", "--output", "t.json"], cwd=tmp_path, check=False,
                          capture_output=True, text=True)
    assert done.returncode == 0 and json.loads((tmp_path / "t.json").read_text())["traceEvents"], done.stderr
    (ROOT / "build/trace.json").unlink(missing_ok=True)
    done = subprocess.run([ROOT / "pteron", "trace", *FAST, "--suite", "pgtable"], cwd=tmp_path, check=False, capture_output=True)
    assert done.returncode == 0 and (ROOT / "build/trace.json").exists()


def test_kvm_without_permission(monkeypatch):
    said = []
    monkeypatch.setattr(kvm.os.path, "exists", lambda _: True)
    monkeypatch.setattr(kvm.os, "access", lambda *_: False)
    assert kvm.choose_accel(Config(), "auto", said.append) == "tcg" and "group kvm" in said[0]


def test_gdb_arguments_come_behind_the_target():
    done = pteron("gdb", "--accel", "tcg", "--gdb-arg=-batch", "--gdb-arg=-ex", "--gdb-arg=info registers rip")
    assert done.returncode == 0 and re.search(r"^rip +0xfff0", done.stdout, re.M), done.stdout + done.stderr


def test_two_runs_build_at_once():
    """One waits for the other, and says so. A compiler's options have a build of their own, as its path has."""
    compiler = "gcc -O1"
    shutil.rmtree(ROOT / "build/gcc_-O1-debug", ignore_errors=True)
    command = ["./pteron", "run", *FAST, "--cc", compiler]
    runs = [subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    said = [run.communicate(timeout=300) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    assert sum("pteron: waiting for " in err for _, err in said) == 1


def test_a_deleted_source_leaves_the_kernel(tmp_path):
    """Image and initrd are made of lists, and depend on them."""
    tree = Tree(tmp_path / "tree")
    source, program = tree.build.root / "drivers/extra.c", tree.build.root / "tests/user/extra.c"
    source.write_text("int extra(void);\nint extra(void)\n{\n\treturn 7;\n}\n")
    shutil.copy(tree.build.root / "tests/user/zap.c", program)

    def holds() -> tuple[bool, bool]:
        tree.build.make()
        symbols = subprocess.run(["nm", tree.build.image], capture_output=True, text=True, check=True).stdout
        return " extra\n" in symbols, b"extra\0" in tree.build.initrd.read_bytes()

    assert holds() == (True, True)
    source.unlink()
    program.unlink()
    assert holds() == (False, False)
