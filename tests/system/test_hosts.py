"""--hosts of ./pteron survey, run --seeds and mutants: every host has its share, one that dies loses nothing, and what comes back is
what this machine would have found.

Most tests have a stand-in for ssh, which runs the command here; the last have two sshds in network namespaces, where there may be some."""

import getpass
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness import catalogue, mutants
from harness.catalogue import ROOT
from harness.judge.engine import BEAT, HEARTBEAT, MISSED, Job
from harness.judge.lifeline import behind_ssh
from harness.judge.survey import identity_of_tree
from harness.machine import Config
from harness.runner import Result, output_of


def pteron(*args: str, timeout: int = 300, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(["./pteron", *args], cwd=ROOT, capture_output=True, text=True, check=False, timeout=timeout,
                          env={**os.environ, **environment})


SMALL = ("survey", "--suite", "pv", "--cpus", "1")


# What of ssh the engine needs, on this machine: it runs the command in a shell of its own, which knows no folder, and notes for
# which host. One whose name begins with dead works once, and then is gone.
SSH = """\
#!/bin/bash
while [[ $1 == -* ]]; do case $1 in -o|-l|-p|-i) shift 2;; *) shift;; esac; done
host=$1; shift; [[ $1 != -- ]] || shift
echo "$host" >> "${0%/*}/called"
[[ $host != dead* || $(grep -c "^$host" "${0%/*}/called") == 1 ]] || exit 255
unset PTERON_HERE PTERON_ENGINE; cd /
exec sh -c "$*"
"""


@pytest.fixture
def ssh(tmp_path):
    """The command; the checkout is reached by a path with a blank."""
    own = tmp_path / "ssh"
    own.write_text(SSH)
    own.chmod(0o755)
    (tmp_path / "a checkout").symlink_to(ROOT)
    return own


def over_ssh(ssh: Path, hosts: str, seeds: int) -> tuple[subprocess.CompletedProcess, list[str]]:
    """The survey, and the host of each call."""
    done = pteron(*SMALL, "--seeds", str(seeds), "--folder", str(ssh.parent / "results"), "--hosts", hosts, "--ssh", str(ssh),
                  "--host-folder", str(ssh.parent / "a checkout"))
    return done, (ssh.parent / "called").read_text().split()


def test_jobs_go_to_every_host(ssh):
    done, called = over_ssh(ssh, "a,b", 4)
    assert done.returncode == 0 and "4 passed" in done.stdout, done.stderr
    assert set(called) == {"a", "b"} and len(called) == 4


def test_what_a_dead_host_had_is_made_elsewhere(ssh):
    done, called = over_ssh(ssh, "dead,b", 4)
    assert done.returncode == 0 and "4 passed" in done.stdout, done.stderr
    assert called.count("dead") > 1 and called.count("b") == 3


def test_where_every_host_is_dead_it_is_said(ssh):
    """What was made before is kept."""
    done, _ = over_ssh(ssh, "dead", 2)
    assert done.returncode == 2 and "1 of 2 runs have no result" in done.stderr
    assert len(list((ssh.parent / "results").glob("*/*.json"))) == 1


# --- run and mutants ---

FAST = ("run", "--suite", "vma", "--cpus", "1", "--deterministic")
CAUGHT = ("run", "--suite", "vma,dirty", "--backend", "deferred", "--deterministic", "--bug", "no-harvest")
CHANGES = ("date", "seconds", "host")  # in JSON, from run to run


def on_hosts(ssh: Path, hosts: str = "a,b") -> list[str]:
    return ["--hosts", hosts, "--ssh", str(ssh), "--host-folder", str(ssh.parent / "a checkout")]


def lasting(node):
    """What two runs of one seed have in common in JSON."""
    if isinstance(node, dict):
        return {key: lasting(value) for key, value in node.items() if key not in CHANGES}
    return [lasting(part) for part in node] if isinstance(node, list) else node


def test_runs_come_back_whole(ssh, tmp_path):
    """Failures, with their history: the same JSON and the same logs as without hosts; a line for each, and the tally."""
    found = []
    for name, more in (("here", []), ("there", on_hosts(ssh))):
        done = pteron(*CAUGHT, "--seeds", "2", "--json", str(tmp_path / f"{name}.json"), *more, PTERON_RUNS=str(tmp_path / name))
        assert done.returncode == 3 and "2 runs: 2 crashed (first: seed " in done.stdout and "why: " in done.stdout, done.stdout + done.stderr
        data = json.loads((tmp_path / f"{name}.json").read_text())
        assert all(run["suites"][0]["seconds"] > 0 and run["host"] for run in data["runs"])
        found.append((sorted(lasting(data)["runs"], key=lambda run: run["seed"]), {log.read_text() for log in (tmp_path / name).glob("*.log")}))
    assert found[0] == found[1] and len(found[0][1]) == 2
    assert set((tmp_path / "called").read_text().split()) == {"a", "b"}


def test_no_run_begins_after_a_failure(ssh, tmp_path):
    """There are jobs without an end; each slot may have taken one more before it was told."""
    done = pteron(*CAUGHT, "--until-fail", *on_hosts(ssh), PTERON_RUNS=str(tmp_path / "runs"), timeout=120)
    assert done.returncode == 3 and re.search(r"^\d runs: \d crashed", done.stdout, re.M), done.stdout + done.stderr
    assert len((tmp_path / "called").read_text().split()) <= 4


def test_interrupted_runs_count(ssh, tmp_path):
    with subprocess.Popen(["./pteron", *FAST, "--until-fail", "--json", str(tmp_path / "json"), *on_hosts(ssh)], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, env={**os.environ, "PTERON_RUNS": str(tmp_path / "runs")}) as child:
        for _ in range(3):
            assert "passed after" in child.stdout.readline()
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 125 and re.search(r"^interrupted: \d+ runs: \d+ passed", out, re.M) and "Traceback" not in err
    data = json.loads((tmp_path / "json").read_text())
    assert data["interrupted"] and len(data["runs"]) >= 3


def test_hosts_are_for_many_runs():
    done = pteron(*FAST, "--hosts", "a")
    assert done.returncode == 2 and "give --seeds" in done.stderr


def test_mutants_on_hosts(ssh, tmp_path):
    """The same table in the same order as without hosts."""
    words = ("mutants", "--bug", "frames-restore-early", "--seeds", "2", "--replays", "1")
    here, there = pteron(*words), pteron(*words, *on_hosts(ssh))
    assert here.returncode == there.returncode == 0, there.stdout + there.stderr
    assert here.stdout == there.stdout and "2/2" in here.stdout
    assert set((tmp_path / "called").read_text().split()) == {"a", "b"}


def test_an_interrupted_run_is_no_catch(monkeypatch):
    """It is told by the end of the row, not by a verdict that is not passed."""
    config = Config()
    monkeypatch.setattr(mutants, "run", lambda *_, **__: Result(config, output_of(config), "interrupted", 0))
    with pytest.raises(KeyboardInterrupt):
        mutants.examine(catalogue.bug("frames-restore-early"), "deferred", "p2m", [1], 0)


# --- lifelines ---

ENDLESS = ("--suite", "mix", "--rounds", "1000000", "--deterministic")
SOON = 8  # seconds in which what has lost its lifeline ends


@pytest.fixture
def machine(tmp_path):
    """An emulator that leaves its number: a function that tells it, and ends once it runs."""
    own = tmp_path / "qemu"
    own.write_text('#!/bin/sh\n[ "$1" = --version ] || echo $$ > "${0%/*}/part" && mv "${0%/*}/part" "${0%/*}/number"\nexec qemu-system-x86_64 "$@"\n')
    own.chmod(0o755)

    def number() -> int:
        wait_until((tmp_path / "number").exists, 120)
        return int((tmp_path / "number").read_text())
    number.path = str(own)
    yield number
    if (tmp_path / "number").exists() and not has_ended(number()):
        os.kill(number(), signal.SIGKILL)


def wait_until(is_so, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def has_ended(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_ends_when_its_ssh_is_silent(machine, number):
    """Its heartbeat is killed, or nothing comes through any more: the machine does not run to its end."""
    words = Job("key", ("--qemu", machine.path, *ENDLESS), "run").words(identity_of_tree())
    with subprocess.Popen([sys.executable, HEARTBEAT, "0.2", "./pteron", "survey", "--job", words, "--engine", behind_ssh(2)], cwd=ROOT,
                          env={**os.environ, "PTERON_ENGINE": str(os.getpid())}) as heartbeat:
        qemu = machine()
        time.sleep(3)
        assert not has_ended(qemu)
        heartbeat.send_signal(number)
        try:
            wait_until(lambda: has_ended(qemu), SOON)
        finally:
            heartbeat.kill()


@pytest.mark.parametrize("hosts", ["", "a"])
def test_all_ends_with_the_engine(ssh, machine, hosts):
    """However it ends."""
    with subprocess.Popen(["./pteron", "survey", "--folder", str(ssh.parent / "results"), "--qemu", machine.path, *ENDLESS[:2],
                           *(on_hosts(ssh, hosts) if hosts else [])], cwd=ROOT, stderr=subprocess.DEVNULL) as engine:
        qemu = machine()
        engine.kill()
    wait_until(lambda: has_ended(qemu), SOON)


# --- two sshds ---


class Hosts:
    """Two sshds, each in a network namespace of its own, reached by a pair of virtual Ethernet devices."""

    NAMES = tuple(f"pteron{os.getpid()}{letter}" for letter in "ab")  # tests run side by side

    def __init__(self, folder: Path):
        self.folder, self.daemons = folder, []
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
        for n, name in enumerate(self.NAMES):
            self._start(n, name)
        (folder / "config").write_text(f"IdentityFile {folder}/key\nUserKnownHostsFile {folder}/known\nStrictHostKeyChecking no\nLogLevel ERROR\n")

    def address(self, n: int) -> str:
        return f"{self._subnet(n)}.2"

    def _subnet(self, n: int) -> str:
        """One for each process and host."""
        return f"10.{100 + os.getpid() // 100 % 100}.{os.getpid() % 100 * 2 + n}"

    def _start(self, n: int, name: str) -> None:
        for command in (f"ip netns add {name}", f"ip link add {name} type veth peer name eth0 netns {name}", f"ip addr add {self._subnet(n)}.1/24 dev {name}",
                        f"ip link set {name} up", f"ip -n {name} addr add {self.address(n)}/24 dev eth0", f"ip -n {name} link set eth0 up"):
            subprocess.run(command.split(), check=True)
        own = self.folder / name
        own.mkdir()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", own / "host"], check=True)
        (own / "config").write_text(f"HostKey {own}/host\nAuthorizedKeysFile {self.folder}/key.pub\nStrictModes no\nUsePAM no\nPidFile none\n"
                                    "PermitRootLogin prohibit-password\nLogLevel VERBOSE\nMaxStartups 100\n")
        Path("/run/sshd").mkdir(exist_ok=True)
        with (own / "log").open("wb") as log:
            self.daemons.append(subprocess.Popen(["ip", "netns", "exec", name, "/usr/sbin/sshd", "-D", "-e", "-f", own / "config"], stderr=log))

    def logins(self, n: int) -> int:
        return (self.folder / self.NAMES[n] / "log").read_text().count("Accepted publickey")

    def cut(self, n: int) -> None:
        """Nothing comes from there any more, not even a refusal."""
        subprocess.run(["ip", "link", "set", self.NAMES[n], "down"], check=True)

    def stop(self) -> None:
        for daemon in self.daemons:
            daemon.kill()
            daemon.wait()
        for name in self.NAMES:
            pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout.split()
            subprocess.run(["kill", "-9", *pids], check=False, capture_output=True)
            subprocess.run(["ip", "netns", "del", name], check=False)
            subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)


def can_make_hosts() -> bool:
    name = f"pteron{os.getpid()}t"
    tried = os.geteuid() == 0 and shutil.which("ip") and Path("/usr/sbin/sshd").exists() and subprocess.run(
        ["sh", "-c", "ip netns add $0 && ip link add $0 type veth peer name eth0 netns $0", name],
        capture_output=True, check=False).returncode == 0
    if shutil.which("ip"):
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return bool(tried)


@pytest.fixture
def hosts(tmp_path):
    if not can_make_hosts():
        pytest.skip("two sshds need root, network namespaces and openssh-server, which set-up does not install: it would open a port")
    made = Hosts(tmp_path)
    yield made
    made.stop()


def words(hosts: Hosts, folder: Path, seeds: int) -> list[str]:
    user = getpass.getuser()
    return [*SMALL, "--seeds", str(seeds), "--folder", str(folder), "--hosts", ",".join(f"{user}@{hosts.address(n)}" for n in (0, 1)),
            "--ssh", f"ssh -F {hosts.folder}/config", "--host-folder", str(ROOT)]


def test_hosts_share_the_runs(hosts, tmp_path):
    done = pteron(*words(hosts, tmp_path / "results", 4))
    assert done.returncode == 0 and "4 passed" in done.stdout, done.stderr
    assert hosts.logins(0) and hosts.logins(1)


def test_a_host_that_dies_loses_nothing(hosts, tmp_path):
    """It is cut off while it has runs; they are made on the other."""
    with subprocess.Popen(["./pteron", *words(hosts, tmp_path / "results", 8)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as child:
        while " of 8 runs" not in child.stderr.readline():
            assert child.poll() is None
        hosts.cut(0)
        before = hosts.logins(1)
        out, err = child.communicate(timeout=180)
    assert child.returncode == 0 and "8 passed" in out, err
    assert hosts.logins(1) > before


@pytest.mark.long
def test_a_worker_that_is_cut_off_ends(hosts, machine, tmp_path):
    """Nobody tells it: its sshd waits for hours."""
    with subprocess.Popen(["./pteron", *words(hosts, tmp_path / "results", 1), "--hosts", f"{getpass.getuser()}@{hosts.address(0)}",
                           "--qemu", machine.path, *ENDLESS[:2]], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        qemu = machine()
        hosts.cut(0)
        wait_until(lambda: has_ended(qemu), BEAT * MISSED + SOON)
        child.send_signal(signal.SIGTERM)
