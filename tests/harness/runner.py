"""Running a machine: output line by line, a watchdog on progress, a verdict."""

import bisect
import ctypes
import functools
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from .catalogue import ROOT
from .judge.verdicts import Judged
from .ktap import Output, decode
from .machine import Config, drop_scratch, make_scratch, qemu_command
from .why import report, why

# config.patience: seconds without a line of output after which a run counts as hung. The stress programs
# say how far they are after each twentieth of their work, and unit suites take a second or two. The time in
# which the host had no CPU for QEMU does not count.
NMI_PATIENCE = 10
LOOK_SECONDS = 0.02  # between two looks at the console
KERNEL_HALF = 1 << 47  # no program is at or above it
PR_SET_PDEATHSIG = 1  # linux/prctl.h
# What the kernel leaves in the exit device (drivers/debug_exit.c), as QEMU's status.
STATUS = {"passed": 33, "failed": 35}
# The same by way of dom0_init.sh, from the reason of the domain's shutdown.
DOMU_STATUS = {"passed": 33, "failed": 33, "crashed": 37}
SHUTDOWN_CRASH = 3  # public/sched.h
TROUBLE = 125  # the exit status where the tool had trouble of its own: what `git bisect run` skips
EXIT_CODE = {"passed": 0, "failed": 1, "usage": 2, "interrupted": TROUBLE, "unstarted": TROUBLE}


SCHEMA = 1  # of what --json writes; another number where a field changes its meaning or goes


def _said_by(*command: str) -> str:
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


@functools.cache
def provenance(qemu: str) -> dict:
    """Where a result comes from: the machine, the commit, QEMU's version."""
    return {"host": socket.gethostname(), "commit": _said_by("git", "rev-parse", "HEAD"),
            "dirty": bool(_said_by("git", "status", "--porcelain")),
            "qemu": _said_by(qemu, "--version").partition("\n")[0]}


def output_of(config: Config) -> Output:
    """What takes the lines of a run with @config."""
    return Judged(config.linux.kernel) if config.judged else Output()


_PACKED = ("verdict", "status", "state", "where", "seconds", "date")  # fields of Result that are packed as they are


@dataclass
class Result:
    """What became of a run."""
    config: Config
    output: Output = field(repr=False)
    verdict: str  # passed, failed, usage, crashed, hung, timeout, none; interrupted; unstarted: QEMU refused
    status: int
    state: str = field(default="", repr=False)  # of a machine that hung
    where: str = ""  # its CPUs were then
    seconds: float = 0.0
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))  # of its end
    made: dict = field(default_factory=dict)  # provenance(), of another machine

    @property
    def exit_code(self) -> int:
        return EXIT_CODE.get(self.verdict, 3)

    def told(self) -> str:
        """The verdict and all that explains it, for the message of a test: one that fails once may not fail again."""
        return "\n".join([f"{self.verdict}: {self.where}" if self.where else self.verdict, *why(self.verdict, self.output),
                          *([] if self.verdict == "failed" else report(self.output)), "replay: " + self.config.replay()])

    def as_json(self) -> dict:
        """The object that --json writes."""
        c = self.config
        return {
            "schema": SCHEMA, "date": self.date, "seconds": round(self.seconds, 3), **(self.made or provenance(c.qemu.program)),
            "verdict": self.verdict, "why": why(self.verdict, self.output), "replay": c.replay(), "seed": c.seed, "on": c.on, "backend": c.backend,
            "cpus": c.cpus, "mem_mib": c.mem, "build": c.build.kind, "compiler": c.build.cc, "accel": c.accel, "boot": c.boot,
            **({"kernel": c.kernel, "virtual_seconds": self.output.clock, "complaints": self.output.told(),
                "signature": self.output.signature(), "suite_seconds": round(self.output.suite_clock(), 3)} if c.judged else {}),
            **({"xen": self.output.xen} if self.output.xen else {}), **({"bug": c.bug} if c.bug else {}),
            "suites": [{"name": s.name, "verdict": s.verdict, "pass": s.passed, "fail": s.failed,
                        "skip": s.skipped, "seconds": round(s.seconds, 3),
                        "cases": [{"name": k.name, "verdict": k.verdict, **({"message": k.message} if k.message else {})}
                                  for k in s.cases]} for s in self.output.suites],
            **({"program": {"argv": c.program, "end": self.output.program_end}} if c.program else {}),
            "counters": {**self.output.counters, "batch_histogram": self.output.histogram},
        }

    def packed(self) -> dict:
        """All of it but its configuration, for another process."""
        return {"raw": self.output.raw, "suite_seconds": [s.seconds for s in self.output.suites],
                "made": provenance(self.config.qemu.program), **{name: getattr(self, name) for name in _PACKED}}

    @classmethod
    def unpacked(cls, config: Config, packed: dict) -> "Result":
        """What packed() was made of, with its @config."""
        output = output_of(config)
        for line in packed["raw"]:
            output.feed(line)
        for suite, seconds in zip(output.suites, packed["suite_seconds"]):
            suite.seconds = seconds
        return cls(config, output, made=packed["made"], **{name: packed[name] for name in _PACKED})


class _Qmp:
    """As much of QEMU's machine protocol as a watchdog needs."""

    def __init__(self, path: Path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(str(path))
        self.file = self.sock.makefile("rw")
        self.file.readline()
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments: str | int) -> str:
        self.file.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
        self.file.flush()
        while True:
            answer = json.loads(self.file.readline() or '{"error": "closed"}')
            if "return" in answer or "error" in answer:
                return str(answer.get("return", answer.get("error")))


def _die_with_parent() -> None:
    """In the child: a QEMU whose front door is killed must not go on."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _starved(pid: int) -> float:
    """Seconds that a thread of process @pid was ready to run and had no CPU: the most of any. 0 where the kernel does
    not tell (proc(5), schedstat)."""
    delays = [0]
    for thread in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        try:
            delays.append(int(thread.read_text().split()[1]))
        except (OSError, ValueError, IndexError):
            continue  # it has ended
    return max(delays) / 1e9


class _Tail:
    """A selector of one file: ready when it has grown beyond what was read, or its writer has ended."""

    def __init__(self, fd: int, ended: Callable[[], bool]):
        self.fd = fd
        self.ended = ended

    def select(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not (self.ended() or os.fstat(self.fd).st_size > os.lseek(self.fd, 0, os.SEEK_CUR)):
            if time.monotonic() >= end:
                return False
            time.sleep(LOOK_SECONDS)
        return True


class _TimeIsUp(TimeoutError):
    """The whole run has had its time, whatever it says."""


class _Lines:
    """Lines of a file that @ended's process writes, with a limit on how long to wait for bytes. A file and no pipe: a
    pipe that is full holds the guest's serial port up, so that a run would depend on how fast it is read."""

    def __init__(self, file, returns: int = 1, starved: Callable[[], float] = lambda: 0.0,
                 ended: Callable[[], bool] = lambda: True):
        self.fd = file.fileno()
        self.starved = starved
        self.on_quiet: Callable[[float], None] = lambda seconds: None
        self.returns = returns
        self.buffer = b""
        self.end = float("inf")  # of all patience, by time.monotonic()
        self.selector = _Tail(self.fd, ended)

    def _wait(self, patience: float) -> None:
        """Until there are bytes; what the writer was starved meanwhile is added to @patience. on_quiet hears of each
        second without any."""
        known, left, waited = self.starved(), patience, 0.0
        while not self.selector.select(step := min(1.0, left)):
            self._look_at_the_clock()
            left, waited = left - step, waited + step
            self.on_quiet(waited)
            if left > 0:
                continue
            now = self.starved()
            left, known = now - known, now
            if left < 0.5:
                raise TimeoutError

    def _look_at_the_clock(self) -> None:
        if time.monotonic() >= self.end:
            raise _TimeIsUp

    def read(self, patience: float) -> list[str] | None:
        """Complete lines that came; None at the end; TimeoutError when no byte came in time."""
        self._look_at_the_clock()
        self._wait(patience)
        data = os.read(self.fd, 65536)
        if not data:
            rest, self.buffer = self.buffer, b""
            return [decode(rest, self.returns)] if rest else None
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        return [decode(line, self.returns) for line in lines]


def _examine(scratch: Path, lines: _Lines, take: Callable[[str], None]) -> str:
    """The state of a machine that hangs: the registers of every CPU as QEMU sees them; then an NMI,
    which makes the kernel report (and end) if it still can."""
    state = ""
    lines.end = float("inf")
    try:
        qmp = _Qmp(scratch / "qmp")
        state = qmp.command("human-monitor-command", **{"command-line": "info registers -a"})
        qmp.command("inject-nmi")
        end = time.monotonic() + NMI_PATIENCE
        while (left := end - time.monotonic()) > 0 and (got := lines.read(left)) is not None:
            for line in got:
                take(line)
    except (TimeoutError, OSError, ValueError) as error:
        state = state or f"QEMU does not answer either: {error}"
    return state


def _symbols(image: Path) -> list[tuple[int, str]]:
    """The functions of @image by address; none if it cannot be read."""
    done = subprocess.run(["nm", "-n", image], capture_output=True, text=True, check=False)
    words = (line.split() for line in done.stdout.splitlines())
    return [(int(w[0], 16), w[2]) for w in words if len(w) == 3 and w[1] in "tT"]


def _where(state: str, image: Path) -> str:
    """What each CPU of a machine in @state was about: one line."""
    symbols = _symbols(image)
    places = []
    for cpu, ip in re.findall(r"^CPU#(\d+).*?^RIP=([0-9a-f]+)", state, re.MULTILINE | re.DOTALL):
        at = bisect.bisect(symbols, (int(ip, 16), "~")) - 1
        known = 0 <= at < len(symbols) - 1  # behind the last symbol it is nobody's
        nobodys = "in a program" if int(ip, 16) < KERNEL_HALF else "outside the kernel"
        places.append(f"CPU {cpu} in {symbols[at][1]}+{int(ip, 16) - symbols[at][0]:#x}" if known else
                      f"CPU {cpu} at {ip}, {nobodys}")
    return ", ".join(places)


def _follow(lines: _Lines, take: Callable[[str], None], patience: float, output: Output) -> str:
    """Until the end of the output; a verdict if it does not come to that."""
    try:
        while not output.over and (got := lines.read(patience)) is not None:
            for line in got:
                take(line)
    except _TimeIsUp:
        return "timeout"
    except TimeoutError:
        return "hung"
    return ""


_running: set[subprocess.Popen] = set()  # whoever ends the tool ends them


def stop_all() -> None:
    """End the machines of all threads; their runs then have no verdict."""
    for qemu in list(_running):
        qemu.kill()


def _judge(config: Config, output: Output, status: int, stopped: str = "") -> str:
    """@stopped: the verdict of a run that was ended from outside."""
    if stopped:
        return "crashed" if config.judged and output.verdict() == "crashed" else stopped
    if output.raw and all(line.startswith(f"{Path(config.qemu.program).name}: ") for line in output.raw):
        return "unstarted"
    confirmed = DOMU_STATUS if config.on == "xl" else STATUS
    verdict = output.verdict(suites_expected=not config.program and "init=" not in config.append)
    if config.judged:  # a complaint makes it fail, whatever /init found
        return verdict if verdict not in STATUS or status == confirmed.get(output.said) else "none"
    if verdict in confirmed and status != confirmed[verdict]:
        return "none"
    return verdict


def _split(lines: list[str]) -> list[tuple[list[str], int]]:
    """The output of each domain of a boot, and its shutdown reason: dom0_init.sh."""
    domains, current = [], []
    for line in lines:
        if m := re.match(r"dom0: \S+ ended for reason (\d+)", line):
            domains.append((current, int(m[1])))
            current = []
        else:
            current.append(line)
    return domains


def run_seeds(config: Config, seeds: list[int]) -> list[Result]:
    """The same run with each of @seeds. On xl all domains share one boot of the dom0."""
    if config.on != "xl":
        return [run(replace(config, seed=seed)) for seed in seeds]
    boot = run(replace(config, seeds=tuple(seeds)))
    results = []
    for seed, (lines, reason) in zip(seeds, _split(boot.output.raw)):
        output = Output()
        for line in lines:
            output.feed(line)
        one = replace(config, seed=seed)
        status = DOMU_STATUS["crashed" if reason == SHUTDOWN_CRASH else "passed"]
        results.append(Result(one, output, _judge(one, output, status), status))
    return results


def run(config: Config, on_line: Callable[[str, Output], None] | None = None,
        patience: float | None = None, on_quiet: Callable[[float], None] | None = None) -> Result:
    """Boot what @config says and follow it to its end. @on_line sees each line as it comes, marks and all; @patience:
    instead of the configuration's; @on_quiet hears, each second, for how long nothing has come. An interrupt ends the machine at once, and the result is what ran so far."""
    output = output_of(config)
    scratch, began = make_scratch(), time.monotonic()
    stopped = ""

    def take(line: str) -> None:
        if output.over:
            return
        output.feed(line)
        if on_line:
            on_line(line, output)

    try:
        console = scratch / "console"
        with console.open("wb") as out, console.open("rb", buffering=0) as written, subprocess.Popen(
                qemu_command(config, scratch), stdout=out, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                start_new_session=True, preexec_fn=_die_with_parent) as qemu:
            returns = 3 if config.on == "xl" or config.judged else 1  # there Linux's terminal adds some
            _running.add(qemu)
            lines = _Lines(written, returns, lambda: _starved(qemu.pid), lambda: qemu.poll() is not None)
            lines.on_quiet = on_quiet or lines.on_quiet
            lines.end = began + config.timeout if config.timeout else lines.end
            state = ""
            try:
                stopped = _follow(lines, take, patience or config.patience, output)
                if stopped:
                    state = _examine(scratch, lines, take)
            except KeyboardInterrupt:
                stopped = "interrupted"
                qemu.kill()
            finally:
                if qemu.poll() is None:
                    try:
                        qemu.wait(0 if output.over else 5)
                    except subprocess.TimeoutExpired:
                        qemu.kill()
                status = qemu.wait()
                _running.discard(qemu)
        where = _where(state, config.linux.kernel if config.linux else config.build.image) if state else ""
        verdict = _judge(config, output, status, stopped)
        return Result(config, output, verdict, status, state, where, time.monotonic() - began)
    finally:
        drop_scratch(scratch)
