"""The commands that run in order to look: replay, trace and gdb."""

import argparse
import re
import signal
import subprocess
import time
from pathlib import Path

from .. import catalogue, replay, runs, trace, trace_lines
from ..machine import Config, drop_scratch, make_scratch, qemu_command
from ..options import UsageError, add_run_options, configuration, number
from ..report import Printer
from ..report_file import callers_path, report_file
from ..runner import run
from ..terminal import Terminal
from . import Command, to_stderr
from .run import command_run


def command_replay(args: argparse.Namespace) -> int:
    """Run a failure again, from its replay line or from a file that holds it."""
    line = replay.find(args.line, callers_path(args.line)) if args.line else runs.last_failure()["replay"]
    to_stderr(f"pteron: {line}")
    again = args.parse(replay.arguments(line))
    if not args.gdb:
        return command_run(again)
    again.gdb_args, again.gdb_commands = args.gdb_args, replay.GDB_COMMANDS
    return command_gdb(again)


def add_replay(command: Command) -> None:
    p = command("replay", command_replay)
    p.add_argument("line", metavar="LINE|FILE", nargs="?",
                   help="the replay line (quoted), or a log or JSON that holds it; without it, the last run that did not pass")
    p.add_argument("--gdb", action="store_true", help="in gdb, stopped at the failure")
    _gdb_argument(p)


def _moment(text: str) -> str:
    """A --from or --to: what has the form of one. Whether the suite ran, only the trace tells."""
    suite = text.partition(":")[0]
    if not re.fullmatch(r"\d+(?:\.\d+)?", text) and suite not in (s.name for s in catalogue.suites()):
        raise argparse.ArgumentTypeError(f"{text!r} is neither milliseconds nor SUITE or SUITE:CASE")
    return text


def _say_what_is_written(recorded: trace_lines.Trace, args: argparse.Namespace) -> None:
    """And what was lost."""
    part = f", of which those from {args.start or 'the first'} to {args.end or 'the last'}" if args.start or args.end else ""
    terminal = Terminal()
    terminal.print(f"\n{len(recorded.events):,} events{part} are in {args.output or 'build/trace.json'}: "
                   "open it in https://ui.perfetto.dev or chrome://tracing")
    if older := sum(recorded.lost.values()):
        terminal.print(f"they are the last of each CPU; {older:,} older ones are lost: --ring {recorded.ring_for_all} keeps all")
    if missing := recorded.announced - len(recorded.events):
        terminal.print(f"{missing:,} that the kernel had did not come: its output was cut off")


def command_trace(args: argparse.Namespace) -> int:
    """Run with the trace on and write it for Perfetto or Chrome, a track for each CPU."""
    if args.release:
        raise UsageError("trace --release: only debug builds record events")
    report = report_file("--output", args.output or str(catalogue.ROOT / "build/trace.json"))
    ring = [f"ring={args.ring}"] if args.ring else []
    args.append = " ".join([args.append, "trace=on", *ring]).strip()
    config = configuration(args, to_stderr)
    printer = Printer(suites=not config.program)
    result = run(config, printer.line, on_quiet=printer.quiet)
    printer.close()
    if result.verdict == "interrupted":
        raise trace_lines.TraceError("interrupted: a trace is printed at the end of a run, and is lost")
    if result.verdict == "usage":
        return result.exit_code
    recorded = trace_lines.parse(result.output.kernel_lines)
    if not recorded.events:
        raise trace_lines.TraceError(f"the run ({result.verdict}) recorded no events: only debug builds do")
    try:
        records = trace.records_of(recorded, args.start, args.end)
    except LookupError as error:
        raise UsageError(error.args[0]) from error
    report.write(trace.as_json(records))
    _say_what_is_written(recorded, args)
    return result.exit_code


def add_trace(command: Command) -> None:
    p = command("trace", command_trace)
    add_run_options(p)
    p.add_argument("--output", metavar="FILE", help="where to leave it (default: build/trace.json)")
    p.add_argument("--ring", type=number(1, 10**9), metavar="N",
                   help="how many events of each CPU are kept, 40 bytes each, in up to half of the memory (default: the last 1024)")
    p.add_argument("--from", dest="start", metavar="WHEN", type=_moment,
                   help="leave out what is before: milliseconds since the recording began, or SUITE or SUITE:CASE")
    p.add_argument("--to", dest="end", metavar="WHEN", type=_moment, help="the same of what is behind")


def _gdb_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gdb-arg", dest="gdb_args", action="append", default=[], metavar="ARG",
                        help="an argument for gdb")


def _gdb(config: Config, args: argparse.Namespace, sock: Path) -> list[str]:
    first = "kernel_entry" if config.on == "qemu" else "xen_entry_c"  # in C
    commands = [f"target remote {sock}", *(args.gdb_commands or [f"hbreak {first}"])]
    return ["gdb", "-q", str(config.build.image), "-x", str(catalogue.ROOT / "tests/harness/gdb_pteron.py"),
            *(word for c in commands for word in ("-ex", c)), *args.gdb_args]


def command_gdb(args: argparse.Namespace) -> int:
    """Boot, stop at the machine's first instruction, and open gdb with symbols; `continue` goes to the kernel's first in C."""
    config = configuration(args, to_stderr)
    scratch = make_scratch()
    sock = scratch / "gdb"
    try:
        extra = ["-S", "-gdb", f"unix:{sock},server=on,wait=off"]
        with (scratch / "console").open("wb") as console, subprocess.Popen(
                qemu_command(config, scratch, extra), stdout=console, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, start_new_session=True) as qemu:
            to_stderr(f"pteron: the console is in {scratch}/console")
            while not sock.exists():
                if qemu.poll() is not None:
                    raise UsageError("QEMU does not start:\n" + (scratch / "console").read_text())
                time.sleep(0.02)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is gdb's, to stop the kernel
            try:
                done = subprocess.run(_gdb(config, args, sock), check=False)
            finally:
                qemu.kill()
        return 0 if done.returncode == 0 else 3
    finally:
        drop_scratch(scratch)


def add_gdb(command: Command) -> None:
    p = command("gdb", command_gdb)
    add_run_options(p)
    p.set_defaults(gdb_commands=[])
    _gdb_argument(p)
