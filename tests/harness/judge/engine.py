"""Many jobs on several cores and, if asked for, on several hosts, by GNU parallel.

A job is a run, or the examination of a seeded bug (worker.py). A worker (`./pteron survey --job`) does it and prints the
result as one line, on standard output, which parallel brings here. A worker whose run failed has done its work, and ends
with 0; with another status, or with a host that does not answer, the job goes to another host, RETRIES times in all.

A worker ends when the engine does, and when the connection to it does, however that came (lifeline.py)."""

import json
import os
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..catalogue import ROOT
from . import JudgeError
from .lifeline import behind_ssh

RETRIES = 3
HERE = ":"  # GNU parallel's name of this machine
HEARTBEAT = Path(__file__).with_name("heartbeat.py")
MARK = "pteron-result "  # begins a worker's line
# A host that is gone is noticed within 15 seconds; nobody is asked for a password.
SSH = "ssh"
_SSH_OPTIONS = "-o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 -o ServerAliveCountMax=3"
BEAT = 3  # seconds after which a worker behind ssh hears that the engine is there, and
MISSED = 5  # so many beats that it misses end it
_SAID = 3  # lines of what workers said, in a refusal
_QUIET = 1  # seconds without a result, of which somebody may want to hear


class EngineError(JudgeError):
    """The jobs could not be given out; the text is one line."""


@dataclass(frozen=True)
class Job:
    """What one worker does."""
    key: str  # of its result; unique
    arguments: tuple  # of ./pteron run, or what else @kind takes; JSON has a form of them
    kind: str = "survey"  # of worker.KINDS

    def words(self, identity: str) -> str:
        """What a worker gets, in one line."""
        return json.dumps({"key": self.key, "kind": self.kind, "identity": identity, "arguments": self.arguments})


@dataclass(frozen=True)
class Place:
    """Where jobs run: @jobs at a time on each of @hosts, in the checkout @folder, which is this one if it is empty."""
    jobs: int = 1
    hosts: tuple[str, ...] = ()
    folder: str = ""
    ssh: str = SSH  # with options of the caller's

    @property
    def slots(self) -> int:
        """How many jobs run at once."""
        return self.jobs * max(1, len(self.hosts))


def _command(place: Place, scratch: Path) -> list[str]:
    words = ["parallel", "--will-cite", "--jobs", str(place.jobs), "--retries", str(RETRIES), "--joblog", str(scratch / "log")]
    for host in place.hosts:
        words += ["--sshlogin", host]
    if place.hosts:
        words += ["--ssh", f"{shlex.join([sys.executable, '-IS', str(HEARTBEAT), str(BEAT)])} {place.ssh} {_SSH_OPTIONS}"]
    # PTERON_HERE and PTERON_ENGINE are set where no ssh lies between.
    return [*words, f"there={shlex.quote(place.folder or str(ROOT))}; cd \"${{PTERON_HERE:-$there}}\" && "
            f"./pteron survey --job {{}} --engine \"${{PTERON_ENGINE:-{behind_ssh(BEAT * MISSED)}}}\""]


def _end(parallel: subprocess.Popen) -> None:
    """With all that it has started: workers end their machines."""
    try:
        os.killpg(parallel.pid, signal.SIGTERM)
        parallel.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(parallel.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    parallel.wait()


class _Parallel:
    """GNU parallel at work. A thread gives it jobs as it takes them, of which there may be no end; another hears results."""

    def __init__(self, jobs: Iterable[Job], place: Place, identity: str, scratch: Path):
        self.left: set[str] = set()  # keys of jobs that were given out, and have no result
        self.given = 0
        self.heard: queue.SimpleQueue = queue.SimpleQueue()  # results; None at the end
        self.said = (scratch / "said").open("w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen(
            _command(place, scratch), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said, text=True, errors="replace",
            start_new_session=True, cwd=ROOT, env={**os.environ, "PTERON_HERE": str(ROOT), "PTERON_ENGINE": str(os.getpid()), "SHELL": "/bin/sh"})
        self.threads = [threading.Thread(target=self._give, args=(jobs, identity)), threading.Thread(target=self._hear)]
        for thread in self.threads:
            thread.start()

    def _give(self, jobs: Iterable[Job], identity: str) -> None:
        try:
            with self.process.stdin as pipe:
                for job in jobs:
                    self.left.add(job.key)
                    self.given += 1
                    print(job.words(identity), file=pipe, flush=True)
        except BrokenPipeError:
            pass  # it has ended, and wants no more

    def _hear(self) -> None:
        for line in self.process.stdout:
            if line.startswith(MARK):
                self.heard.put(json.loads(line.removeprefix(MARK)))
        self.heard.put(None)

    def begin_no_more(self) -> None:
        """What runs is awaited."""
        self.process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        """Whatever runs ends."""
        _end(self.process)
        for thread in self.threads:
            thread.join()
        self.said.close()

    def complaint(self) -> str:
        """Why there are jobs without a result."""
        self.said.seek(0)
        last = [line for line in self.said.read().splitlines() if line.strip()][-_SAID:]
        return (f"{len(self.left)} of {self.given} runs have no result, the first {min(self.left)}; the workers said last: "
                + (" | ".join(last) or "nothing"))


def run_jobs(jobs: Iterable[Job], place: Place, identity: str, on_result: Callable[[str, dict], None],
             on_quiet: Callable[[], None] = lambda: None, enough: Callable[[], bool] = lambda: False) -> None:
    """Do @jobs and give each result with its job's key to @on_result as it comes; @on_quiet hears of each second without
    any. Once there are @enough, none begins any more. EngineError, at the end, if there are jobs without a result. An
    interrupt ends the workers, and what had ended counts."""
    if not shutil.which("parallel"):
        raise EngineError("GNU parallel is not installed: as root, run: apt-get install parallel")
    scratch = Path(tempfile.mkdtemp(prefix="pteron-jobs-"))
    parallel = _Parallel(jobs, place, identity, scratch)
    try:
        while (result := _next(parallel.heard, on_quiet)) is not None:
            if result["key"] in parallel.left:  # a host that was taken for dead may answer late
                parallel.left.remove(result["key"])
                on_result(result["key"], result["result"])
                if enough():
                    parallel.begin_no_more()
        if parallel.left and not enough():
            raise EngineError(parallel.complaint())
    finally:
        parallel.close()
        shutil.rmtree(scratch, ignore_errors=True)


def _next(heard: queue.SimpleQueue, on_quiet: Callable[[], None]) -> dict | None:
    while True:
        try:
            return heard.get(timeout=_QUIET)
        except queue.Empty:
            on_quiet()
