"""What a run looks like to the person who started it."""

import shlex

from .forecast import Forecast
from .ktap import PROGRESS, Output, ProgramText, kernel_text
from .runner import Result
from .terminal import Terminal
from .why import LAST_LINES, why


_NOT_SHOWN = ("# counter ", "# batch ", "# trace ")


class Printer:
    """Prints the kernel's lines, and those of programs without their marks. The progress that the programs
    of suites report goes to one line of its own where there is a terminal."""

    def __init__(self, suites: bool = True, terminal: Terminal | None = None, forecast: Forecast | None = None):
        self.terminal = terminal or Terminal()
        self.stream = self.terminal.stream
        self.forecast = forecast or Forecast(None)
        self.output = Output()  # so far
        self.status = suites and self.terminal.interactive
        self.about = "booting"  # what the machine is at
        self.not_shown = 0  # lines
        self.program = ProgramText()
        self.open = False  # the last line printed is a part of a program's

    def line(self, raw: str, output: Output) -> None:
        """Take one line of the console, which @output has got."""
        raw = output.plain(raw)
        self.output = output
        if (part := self.program.take(raw)) is not None:
            self._program_text(*part, output)
        elif raw.startswith(_NOT_SHOWN):
            self._pass_over()
        else:
            self._end_line()
            if output.suites:
                self.about = f"suite {output.suites[-1].name}, {len(output.suites)} of {output.planned}"
            self.terminal.print(kernel_text(raw))

    def _pass_over(self) -> None:
        """A trace has many thousand lines, which take their time."""
        self.not_shown += 1
        if self.terminal.interactive and not self.open and self.not_shown % 100 == 0:
            self.terminal.status(f"  reading what the kernel has recorded: {self.not_shown:,} lines")

    def _program_text(self, text: str, whole: bool, output: Output) -> None:
        if self.status and not self.open and text.startswith(PROGRESS):
            self.terminal.status(self._describe(output))
            return
        self.terminal.clear()
        print(text, end="\n" if whole else "", file=self.stream, flush=True)
        self.open = not whole

    def quiet(self, seconds: float) -> None:
        """Nothing has come for so long: a sign of life, where there is a terminal."""
        if self.terminal.interactive and not self.open and seconds >= 2:
            self.terminal.status(f"  {self.about}, silent for {seconds:.0f} s{self.forecast.text(self.output)}")

    def _end_line(self) -> None:
        self.terminal.clear()
        if self.open:
            print(file=self.stream)
        self.open = False

    def _describe(self, output: Output) -> str:
        """Which suite, how far, and how long it will all take; the bar has what room is left."""
        name, _, part = (output.progress or "").partition(" ")
        head, left = f"  suite {len(output.suites)} of {output.planned}: {name:<10}", self.forecast.text(output)
        try:
            done, total = (int(x) for x in part.split("/"))
            tail = f"{100 * done // total:3d} %{left}"
        except (ValueError, ZeroDivisionError):
            return f"{head} {part}{left}"
        width = min(30, self.terminal.columns - len(head) - len(tail) - 5)
        return f"{head} [{'#' * (width * done // total):<{width}}] {tail}" if width >= 5 else f"{head} {tail}"

    def close(self) -> None:
        self._end_line()
        self.stream.flush()


_COUNTS = ("page_faults", "spurious_faults", "lazy_sections", "pte_updates", "batches",
           "sections_preempted", "sections_migrated", "shootdowns", "ipis", "hypercalls")


def _machine(result: Result) -> str:
    """Where it ran, with the version of a Xen that was asked for."""
    c = result.config
    return f"{c.on} {result.output.xen or c.xen.version}" if c.xen and c.xen.name else c.on


def summary(result: Result) -> str:
    """The table at the end of a run."""
    c = result.config
    rows = [_program(result)] if c.program else _suites(result)
    counters = result.output.counters
    if counters:
        rows.append("")
        rows += [f"{name.replace('_', ' '):<20} {f'{counters[name]:,}' if name in counters else '-':>12}" for name in _COUNTS]
        rows.append(_batches(result.output.histogram))
    rows.append("")
    if c.judged:
        rows.append(_of_judged(result))
        return "\n".join(rows)
    rows.append(f"{_machine(result)}, backend {c.backend}, {c.cpus} CPUs, {c.mem} MiB, boot {c.boot}, "
                f"{c.accel}, {c.build.kind} build{'' if c.build.cc == 'gcc' else f' by {c.build.cc}'}, seed {c.seed}{f', bug {c.bug}' if c.bug else ''}: "
                f"{result.verdict.upper()}")
    return "\n".join(rows)


def _of_judged(result: Result) -> str:
    c = result.config
    clock = "parallel" if c.icount is None else f"deterministic, {result.output.clock:.1f} virtual seconds"
    return f"{c.kernel} on {_machine(result)}, {c.cpus} CPUs, {c.mem} MiB, {clock}, seed {c.seed}: {result.verdict.upper()}"


def _suites(result: Result) -> list[str]:
    rows = [f"{'suite':<18} {'verdict':<10} {'pass':>5} {'fail':>5} {'skip':>5} {'seconds':>8}"]
    for s in result.output.suites:
        rows.append(f"{s.name:<18} {s.verdict:<10} {s.passed:>5} {s.failed:>5} {s.skipped:>5} {s.seconds:>8.1f}")
    if len(result.output.suites) > 1:
        passed, failed, skipped = (sum(getattr(s, k) for s in result.output.suites) for k in ("passed", "failed", "skipped"))
        rows.append(f"{'all, and the boot':<29} {passed:>5} {failed:>5} {skipped:>5} {result.seconds:>8.1f}")
    return rows


def _program(result: Result) -> str:
    return f"{shlex.join(result.config.program)}: {result.output.program_end or 'did not come to its end'}"


def _batches(histogram: dict[str, int]) -> str:
    total = sum(histogram.values())
    entries = sum(int(size) * n for size, n in histogram.items())
    mean = f"{entries / total:.1f}" if total else "-"
    return f"{'batch size, mean':<20} {mean:>12}   largest {max(map(int, histogram), default=0)}"


# Runs that the front door has ended.
_STOPPED = {"hung": "hung: no output for too long", "timeout": "timeout: not done after the {} s of --timeout"}


def advice(result: Result) -> str:
    """After a run that did not pass: what happened, why, and what to do next."""
    reason = "".join(line + "\n" for line in why(result.verdict, result.output))
    if result.verdict not in _STOPPED:
        return reason + _what_next(result)
    replay = result.config.replay()
    return (f"pteron: {_STOPPED[result.verdict].format(result.config.timeout)}. The machine's state:\n{result.state}\n{reason}"
            f"{result.verdict}: {result.where or 'QEMU does not say where'}\n"
            f"replay: {replay}\nor look inside: ./pteron gdb {replay.split(' ', 2)[2]}")


def _what_next(result: Result) -> str:
    replay = result.config.replay()
    if result.verdict == "interrupted":
        return f"pteron: interrupted; the table has what ran so far.\nreplay: {replay}"
    if result.verdict == "unstarted":
        return "pteron: QEMU does not start; it says why above"
    if result.verdict == "crashed":
        return f"pteron: the kernel crashed; the report above says where.\nreplay: {replay}"
    if result.verdict == "none":
        tail = "\n".join(result.output.lines[-LAST_LINES:])
        return (f"pteron: no verdict: the run ended (QEMU's status {result.status}) without saying "
                f"that all of it was done. The last lines:\n{tail}\nreplay: {replay}")
    return f"replay: {replay}"
