"""Many runs on several cores and, if asked for, on several hosts, by GNU parallel.

A job is the words of one `./pteron run`. A worker (`./pteron survey --job`) makes it and prints the result as one line, on
standard output, which parallel brings here. A worker whose run failed has done its work, and ends with 0; with another
status, or with a host that does not answer, the job goes to another host, RETRIES times in all."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..catalogue import ROOT
from . import JudgeError

RETRIES = 3
HERE = ":"  # GNU parallel's name of this machine
MARK = "pteron-result "  # begins a worker's line
# A host that is gone is noticed within 15 seconds; nobody is asked for a password.
SSH = "ssh"
_SSH_OPTIONS = "-o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=5 -o ServerAliveCountMax=3"
_SAID = 3  # lines of what workers said, in a refusal


class EngineError(JudgeError):
    """The jobs could not be given out; the text is one line."""


@dataclass(frozen=True)
class Job:
    """One run."""
    key: str  # of its result; unique
    arguments: tuple[str, ...]  # of ./pteron run

    def words(self, identity: str) -> str:
        """What a worker gets, in one line."""
        return json.dumps({"key": self.key, "identity": identity, "arguments": self.arguments})


@dataclass(frozen=True)
class Place:
    """Where jobs run: @jobs at a time on each of @hosts, in the checkout @folder, which is this one if it is empty."""
    jobs: int = 1
    hosts: tuple[str, ...] = ()
    folder: str = ""
    ssh: str = SSH  # with options of the caller's


def _command(place: Place, scratch: Path) -> list[str]:
    words = ["parallel", "--will-cite", "--jobs", str(place.jobs), "--retries", str(RETRIES), "--joblog", str(scratch / "log")]
    for host in place.hosts:
        words += ["--sshlogin", host]
    if place.hosts:
        words += ["--ssh", f"{place.ssh} {_SSH_OPTIONS}"]
    # PTERON_HERE is set where no ssh lies between.
    return [*words, f"there={shlex.quote(place.folder or str(ROOT))}; cd \"${{PTERON_HERE:-$there}}\" && ./pteron survey --job {{}}"]


def _results(lines: Iterator[str]) -> Iterator[dict]:
    for line in lines:
        if line.startswith(MARK):
            yield json.loads(line.removeprefix(MARK))


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


def run_jobs(jobs: list[Job], place: Place, identity: str, on_result: Callable[[str, dict], None]) -> None:
    """Run @jobs and give each result with its job's key to @on_result as it comes. EngineError, at the end, if there are
    jobs without one. An interrupt ends the workers, and what had ended counts."""
    if not shutil.which("parallel"):
        raise EngineError("GNU parallel is not installed: as root, run: apt-get install parallel")
    left = {job.key for job in jobs}
    scratch = Path(tempfile.mkdtemp(prefix="pteron-survey-"))
    try:
        (scratch / "jobs").write_text("".join(job.words(identity) + "\n" for job in jobs), encoding="utf-8")
        with (scratch / "jobs").open() as source, (scratch / "said").open("w+") as said, subprocess.Popen(
                _command(place, scratch), stdin=source, stdout=subprocess.PIPE, stderr=said, text=True, errors="replace",
                start_new_session=True, cwd=ROOT, env={**os.environ, "PTERON_HERE": str(ROOT), "SHELL": "/bin/sh"}) as parallel:
            try:
                for result in _results(parallel.stdout):
                    if result["key"] in left:  # a host that was taken for dead may answer late
                        left.remove(result["key"])
                        on_result(result["key"], result["result"])
            finally:
                _end(parallel)
            said.seek(0)
            if left:
                last = [line for line in said.read().splitlines() if line.strip()][-_SAID:]
                raise EngineError(f"{len(left)} of {len(jobs)} runs have no result, the first {min(left)}; the workers said last: "
                                  + (" | ".join(last) or "nothing"))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
