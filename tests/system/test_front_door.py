"""./pteron itself: help, bad usage, exit statuses, JSON."""

import json
import os
import subprocess

import pytest

from harness import catalogue
from harness.catalogue import ROOT


def pteron(*args, **options):
    return subprocess.run(["./pteron", *args], cwd=ROOT, capture_output=True, text=True, check=False,
                          timeout=300, **options)


@pytest.mark.parametrize("args", [[], ["run"], ["test"], ["list"], ["gdb"], ["iso"], ["clean"]])
def test_help(args):
    done = pteron(*args, "--help")
    assert done.returncode == 0 and "usage: ./pteron" in done.stdout


def test_version(boot):
    """The tool and the kernel say the same, in the first line of a boot."""
    done = pteron("--version")
    assert done.returncode == 0 and done.stdout == f"pteron {catalogue.version()}\n"
    lines = boot(cpus=1, mem=128, suite="vma").output.lines
    assert any(line.startswith(f"# pteron {catalogue.version()} (debug build) booted by ") for line in lines)


@pytest.mark.parametrize("args, names", [
    (["frobnicate"], ["run", "list"]),
    (["run", "--frobnicate"], ["--suite", "--backend", "--json"]),
    (["run", "--json", "/nowhere/at/all.json"], ["/nowhere/at/all.json"]),
    (["run", "--suite", "nothing"], ["alloc", "mix", "all"]),
    (["run", "--suite", "mix,nothing"], ["alloc", "mix", "all"]),
    (["run", "--backend", "nothing"], ["native", "deferred"]),
    (["run", "--boot", "nothing"], ["pvh", "bios", "uefi"]),
    (["run", "--on", "nothing"], ["qemu"]),
    (["run", "--cpus", "0"], ["between 1 and"]),
    (["run", "--cpus", "100", "--accel", "tcg"], ["1 to 64"]),
    (["run", "--cpus", "100", "--icount", "4"], ["TCG takes 1 to 64"]),
    (["run", "--on", "xen", "--cpus", "40"], ["on Xen 1 to 32"]),
    (["run", "--on", "xen", "--boot", "uefi"], ["--boot uefi", "--on xen"]),
    (["run", "--on", "xen", "--accel", "kvm"], ["--accel kvm", "--on xen"]),
    (["run", "--mem", "1"], ["between"]),
    (["run", "--rounds", "0"], ["between 1"]),
    (["run", "--lazy", "perhaps"], ["on", "off"]),
])
def test_usage(args, names):
    done = pteron(*args)
    assert done.returncode == 2, done.stderr
    for name in names:
        assert name in done.stderr


def test_list_is_a_line_each():
    lines = pteron("list").stdout.splitlines()
    for kind, names in (("suite", [s.name for s in catalogue.suites()]),
                        ("backend", catalogue.BACKENDS), ("boot", catalogue.BOOT_PATHS)):
        for name in names:
            assert sum(line.split()[:2] == [kind, name] for line in lines) == 1


def test_catalogue_is_what_the_kernel_has(boot):
    """The list made from the sources against the kernel's own."""
    text = "\n".join(boot(cpus=1, mem=128, append="suite=nothing").output.lines)
    kernel = text.split("there are:")[1].split("\n")[0].split()
    assert sorted(kernel) == [s.name for s in catalogue.suites()]


def test_json_and_status(tmp_path):
    out = tmp_path / "result.json"
    done = pteron("run", "--accel", "tcg", "--cpus", "3", "--mem", "128", "--suite", "pv,zap", "--seed",
                  "5", "--rounds", "3", "--backend", "deferred", "--json", str(out))
    assert done.returncode == 0, done.stdout
    got = json.loads(out.read_text())
    assert {k: got[k] for k in ("verdict", "seed", "on", "backend", "cpus", "mem_mib", "build")} == {
        "verdict": "passed", "seed": 5, "on": "qemu", "backend": "deferred", "cpus": 3, "mem_mib": 128,
        "build": "debug"}
    assert [{k: s[k] for k in ("name", "verdict", "pass", "fail", "skip")} for s in got["suites"]] == [
        {"name": "pv", "verdict": "passed", "pass": 6, "fail": 0, "skip": 0},
        {"name": "zap", "verdict": "passed", "pass": 1, "fail": 0, "skip": 0}]
    for name in ("page_faults", "spurious_faults", "pte_updates", "lazy_sections", "batches",
                 "shootdowns", "ipis", "hypercalls"):
        assert isinstance(got["counters"][name], int)
    assert sum(got["counters"]["batch_histogram"].values()) == got["counters"]["batches"] > 0
    assert "KTAP version 1" in done.stdout and "PASSED" in done.stdout


def test_paths_are_the_callers(tmp_path):
    """--json and --output are relative to where the caller stands, also through a symbolic link."""
    (tmp_path / "pteron").symlink_to(ROOT / "pteron")
    done = subprocess.run(["./pteron", "run", "--accel", "tcg", "--suite", "vma", "--json", "r.json"],
                          cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "r.json").read_text())["verdict"] == "passed"


def test_one_program():
    """--append init=: the program's end decides."""
    assert pteron("run", "--accel", "tcg", "--append", "init=syscalls").returncode == 0
    assert pteron("run", "--accel", "tcg", "--append", "init=fault+1+1+2+100").returncode == 1


def test_crash_status_and_advice(replayed):
    done = pteron("run", "--accel", "tcg", "--mem", "128", "--suite", "pv", "--append",
                  "panic=null_read")
    assert done.returncode == 3
    assert "the kernel crashed" in done.stdout and "replay: ./pteron run" in done.stdout
    again = replayed(done)
    assert again.returncode == 3 and "read at" in again.stdout


def test_kernel_usage_status():
    done = pteron("run", "--accel", "tcg", "--suite", "pv", "--append", "colour=blue")
    assert done.returncode == 2 and "colour=blue is not known" in done.stdout


def test_gdb_sees_symbols():
    done = pteron("gdb", "--accel", "tcg", "--gdb-arg=-batch", "--gdb-arg=-ex", "--gdb-arg=info line main_task")
    assert done.returncode == 0 and "boot/main.c" in done.stdout, done.stdout + done.stderr
    assert "0x000000000000fff0 in" in done.stdout, "the CPU stands at the reset vector"


@pytest.mark.parametrize("args, named, unnamed", [
    (["run"], "nasm", "xen-hypervisor"),
    (["run", "--on", "xl", "--", "prog"], "xen-hypervisor", "grub"),
    (["run", "--", "prog", "--help", "xl"], "nasm", "xen-hypervisor"),  # its own arguments
    (["test"], "musl-tools", "flex"),
    (["test"], "tmux", "bison"),
    (["bench"], "libfaketime", "gdb"),
    (["gdb"], "gdb", "xen-hypervisor"),
    (["replay", "./pteron run --on xen --suite zap"], "xen-hypervisor", "gdb"),
    (["replay", "--gdb", "./pteron run --suite zap"], "gdb", "xen-hypervisor"),
    (["replay", "{log}"], "xen-hypervisor", "busybox"),
    (["trace"], "qemu-system-x86", "xen-hypervisor"),
    (["iso"], "xorriso", "ovmf"),
    (["completion", "bash"], "python3-argcomplete", "nasm"),
    (["iso", "--run"], "ovmf", "xen-hypervisor"),
    (["trace", "--on", "xen"], "xen-hypervisor", "grub"),
    (["operators"], "grub-pc-bin", "busybox"),
    (["operators"], "xen-hypervisor", "python3-matplotlib"),
])
def test_setup_prints_the_one_command(tmp_path, args, named, unnamed):
    """Without root and sudo: what is missing, and the command that installs it."""
    fake = tmp_path / "bin"
    fake.mkdir()
    for name, body in (("dpkg-query", "exit 1"), ("sudo", "exit 1"), ("id", "echo 1000")):
        (fake / name).write_text(f"#!/bin/sh\n{body}\n")
        (fake / name).chmod(0o755)
    log = tmp_path / "log.json"
    log.write_text('{"replay": "./pteron run --suite zap --on xen"}\n')
    done = pteron(*(arg.format(log=log) for arg in args), env={**os.environ, "PATH": f"{fake}:{os.environ['PATH']}"})
    assert done.returncode == 2
    assert "apt-get install -y --no-install-recommends" in done.stderr
    assert named in done.stderr and unnamed not in done.stderr
