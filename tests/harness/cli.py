"""The commands of ./pteron."""

import argparse
import difflib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from . import against, bench, bench_report, catalogue, contention, coverage, figures, many, model, mutants, operator_runs, \
    operators, program, replay, runs, scaffold, trace
from .bug_files import BugFileError
from .build import Build, BuildError, make_iso
from .junit import as_junit
from .machine import Config, drop_scratch, make_scratch, qemu_command
from .options import EPILOG, Arguments, UsageError, add_run_options, bug, configuration, number
from .report import Printer, advice, summary
from .report_file import STDOUT, ReportError, callers_path, report_file
from .runner import SCHEMA, TROUBLE, Result, run

MAX_JOBS = 64
JOB_MEMORY = 3 << 30  # what a test may need: the search of a model, 2 GB, or a guest and its QEMU


def _targets_of(text: str) -> list[str]:
    """What --file of `operators` names: a file, or all of a folder and those below it."""
    known = operators.targets()
    files = [file for file in known if file == text or file.startswith(text.rstrip("/") + "/")]
    if not files:
        raise argparse.ArgumentTypeError(f"no mutants are made of {text!r}; they are of: {' '.join(known)}")
    return files


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def command_run(args: argparse.Namespace) -> int:
    """Build, boot, run suites, print KTAP and a summary."""
    if args.json == args.junit == STDOUT:
        raise UsageError("--json - and --junit -: there is one standard output")
    reports = {write: report_file(option, name) for option, name, write in
               (("--json", args.json, _json_of), ("--junit", args.junit, as_junit))}
    if args.failed:
        args = _failed_again(args)
    several = args.seeds > 1 or args.repeat != 1 or args.until_fail
    if several and args.junit:
        raise UsageError("--junit takes the result of one run: not with --seeds, --repeat and --until-fail")
    if several and args.record:
        raise UsageError("--record takes the figures of one run: not with --seeds, --repeat and --until-fail")
    config = configuration(args, _to_stderr)
    if args.show_command:
        return _show_command(config)
    if several:
        return _run_many(config, args, reports[_json_of])
    printer = Printer(suites=not config.program)
    result = run(config, printer.line, on_quiet=printer.quiet)
    printer.close()
    log = runs.keep(result)
    print("\n" + summary(result))
    if result.verdict != "passed":
        print(f"\n{advice(result)}\nlog: {runs.shown(log)}")
    elif config.bug:
        print(f"\nthis run did not catch {config.bug}; where it is caught: ./pteron mutants --bug {config.bug} --seeds 1")
    for write, report in reports.items():
        if report:
            report.write(write(result))
    if args.record and result.verdict == "passed":
        _recorded(figures.record("run", {**result.as_json(), "summary": summary(result).splitlines()}))
    return result.exit_code


def _recorded(path: Path) -> None:
    _to_stderr(f"pteron: recorded in {path.relative_to(catalogue.ROOT)}; make docs makes the documents' tables of it")


def _json_of(result: Result) -> str:
    return json.dumps(result.as_json(), indent=2) + "\n"


def _show_command(config: Config) -> int:
    """QEMU's, for who wants to start it by hand. Its files stay: what they are made of takes seconds."""
    scratch = make_scratch()
    print(shlex.join(qemu_command(config, scratch)))
    _to_stderr(f"pteron: its files are in {scratch}; remove that when you need it no more")
    return 0


# Options of the command, and not of what it runs.
_OF_NO_RUN = ("json", "junit", "seeds", "repeat", "until_fail", "jobs", "show_command", "record", "function", "parser")


def _failed_again(args: argparse.Namespace) -> argparse.Namespace:
    """The last run that did not pass, with the suites that failed in it."""
    entry, plain = runs.last_failure(), _parse(["run"])
    beside = (*_OF_NO_RUN, "failed", "suite", "case")
    if other := [name for name, value in vars(args).items() if name not in beside and value != getattr(plain, name)]:
        raise UsageError(f"--failed takes the options of the last run that did not pass, not --{other[0].replace('_', '-')}; "
                         "--suite and --case may narrow it")
    _to_stderr(f"pteron: {entry['replay']}")
    again = _parse(replay.arguments(entry["replay"]))
    if entry["failed"]:
        again.suite = ",".join(entry["failed"])
    if args.suite != plain.suite:
        again.suite = args.suite
    if args.case:
        again.case = args.case
    for name in _OF_NO_RUN:
        setattr(again, name, getattr(args, name))
    return again


def _tell(result: Result) -> None:
    """A line, and for a failure why."""
    log = runs.keep(result)
    print(f"seed {result.config.seed}: {result.verdict} after {result.seconds:.1f} s, lock order "
          f"{result.output.lock_order or 'not recorded'}, {result.output.counters.get('page_faults', 0):,} page faults", flush=True)
    if result.exit_code:
        print(f"{advice(result)}\nlog: {runs.shown(log)}", flush=True)


def _run_many(config: Config, args: argparse.Namespace, report) -> int:
    """A line for each run; then how many went how, and in how many orders."""
    repeat = 0 if args.until_fail and args.repeat == 1 and args.seeds == 1 else args.repeat
    interrupted = False
    try:
        tally = many.run_all(many.configurations(config, args.seeds, repeat), args.jobs, args.until_fail, _tell)
    except many.Interrupted as error:
        tally, interrupted = error.tally, True
    print(("interrupted: " if interrupted else "") + tally.text())
    if report:
        report.write(json.dumps({"schema": SCHEMA, "interrupted": interrupted,
                                 "runs": [r.as_json() for r in tally.results]}, indent=2) + "\n")
    return TROUBLE if interrupted else tally.exit_code


def command_trace(args: argparse.Namespace) -> int:
    """Run with the trace on and write it for Perfetto or Chrome, a track for each CPU."""
    if args.release:
        raise UsageError("trace --release: only debug builds record events")
    report = report_file("--output", args.output or str(catalogue.ROOT / "build/trace.json"))
    args.append = f"{args.append} trace=on".strip()
    config = configuration(args, _to_stderr)
    result = run(config, (printer := Printer(suites=not config.program)).line)
    printer.close()
    if result.verdict == "interrupted":
        raise trace.TraceError("interrupted: a trace is printed at the end of a run, and is lost")
    lines = result.output.kernel_lines
    events = len(trace.parse(lines))
    if not events:
        raise trace.TraceError(f"the run ({result.verdict}) recorded no events: only debug builds do")
    report.write(trace.as_json(lines))
    print(f"\n{events:,} events are in {args.output or 'build/trace.json'}: open it in https://ui.perfetto.dev or chrome://tracing")
    if older := sum(trace.lost(lines).values()):
        print(f"they are the last of each CPU; {older:,} older ones are lost")
    return result.exit_code


def command_replay(args: argparse.Namespace) -> int:
    """Run a failure again, from its replay line or from a file that holds it."""
    line = replay.find(args.line, callers_path(args.line)) if args.line else runs.last_failure()["replay"]
    _to_stderr(f"pteron: {line}")
    again = _parse(replay.arguments(line))
    if not args.gdb:
        return command_run(again)
    again.gdb_args, again.gdb_commands = args.gdb_args, replay.GDB_COMMANDS
    return command_gdb(again)


def command_list(args: argparse.Namespace) -> int:
    """Suites, backends and boot paths, a line each."""
    if args.json:
        print(json.dumps(catalogue.as_json(), indent=2))
        return 0
    for suite in catalogue.suites():
        mark = f" [{' '.join(suite.tags)}]" + ("" if suite.default else " (not in the default run)")
        print(f"suite    {suite.name:<12} {suite.what}{mark}")
    for bug in catalogue.bugs():
        print(f"bug      {bug.name:<20} {bug.provenance} ({' '.join(bug.backends)}: {bug.suites})")
    for kind, table in (("backend", catalogue.BACKENDS), ("boot", catalogue.BOOT_PATHS),
                        ("on", catalogue.MACHINES)):
        for name, what in table.items():
            print(f"{kind:<8} {name:<12} {what}")
    return 0


def _gdb(config: Config, args: argparse.Namespace, sock: Path) -> list[str]:
    first = "kernel_entry" if config.on == "qemu" else "xen_entry_c"  # in C
    commands = [f"target remote {sock}", *(args.gdb_commands or [f"hbreak {first}"])]
    return ["gdb", "-q", str(config.build.image), "-x", str(catalogue.ROOT / "tests/harness/gdb_pteron.py"),
            *(word for c in commands for word in ("-ex", c)), *args.gdb_args]


def command_gdb(args: argparse.Namespace) -> int:
    """Boot, stop at the machine's first instruction, and open gdb with symbols; `continue` goes to the kernel's first in C."""
    config = configuration(args, _to_stderr)
    scratch = make_scratch()
    sock = scratch / "gdb"
    try:
        extra = ["-S", "-gdb", f"unix:{sock},server=on,wait=off"]
        with (scratch / "console").open("wb") as console, subprocess.Popen(
                qemu_command(config, scratch, extra), stdout=console, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, start_new_session=True) as qemu:
            _to_stderr(f"pteron: the console is in {scratch}/console")
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


def command_bench(args: argparse.Namespace) -> int:
    """Count the instructions and hypercalls of the range functions, with Linux's figures beside."""
    if not args.against and (args.side or args.group):
        raise UsageError("--side and --group choose runs of --against linux")
    report = report_file("--json", args.json)
    on = args.on or "qemu"
    if args.record and not (args.against or (on == "xen" and not args.contention)):
        raise UsageError("--record: the documents have figures of --on xen, and of --against linux")
    if args.against:
        text, found = _bench_against(args)
    elif args.contention:
        rows = contention.measure(on, say=_to_stderr)
        text, found = contention.table(rows), contention.as_json(on, rows)
    else:
        measured = bench.measure(on, _to_stderr)
        text, found = bench.table(on, measured) + "\n\n" + bench.curve(measured), bench.as_json(on, measured)
    print(text)
    if report:
        report.write(found)
    if args.record:
        _recorded(figures.record_bench("against" if args.against else "bench-xen", json.loads(found)))
    return 0


def _bench_against(args: argparse.Namespace) -> tuple[str, str]:
    """The same program on Pteron and on Linux; the report, and its JSON."""
    places = [args.on] if args.on else list(against.PLACES)
    about = against.configuration()
    runs = against.measure(places, args.side or list(against.SIDES), args.group or against.groups(),
                           0 if args.group else against.BOOTS, _to_stderr)
    return bench_report.publish(runs, about, catalogue.ROOT / "build/report")


def command_mutants(args: argparse.Namespace) -> int:
    """Seed each bug into the kernel and see whether the suites catch it."""
    report = report_file("--json", args.json)
    print(mutants.heading())
    rows = mutants.table(list(range(1, args.seeds + 1)), args.bug, args.replays,
                         lambda text: print(text, flush=True))
    if report:
        report.write(mutants.as_json(rows))
    if args.record:
        _recorded(figures.merge_mutants([asdict(row) for row in rows]))
    for row in rows:
        if row.replay:
            _to_stderr(f"replay {row.bug or 'none'} on {row.backend}: {row.replay}")
    return 0 if all(row.ok for row in rows) else 1


def command_model(args: argparse.Namespace) -> int:
    """Visit every state of the models (the .pml files of mm/ and kernel/), and find each bug that they can have."""
    print(model.heading(), flush=True)
    ok = True
    for result in model.searches(args.bug):
        print(model.line(result), flush=True)
        ok = ok and result.ok
    _to_stderr("pteron: each counter-example, step by step: build/model/*/counter-example")
    return 0 if ok else 1


def command_operators(args: argparse.Namespace) -> int:
    """Change the core in one small way after the other and see whether the suites notice."""
    report = report_file("--json", args.json)
    rows = operator_runs.table([file for files in args.file for file in files], args.only, args.sample, args.seed, args.jobs,
                               lambda text: print(text, flush=True), args.per_folder)
    print("\n" + operator_runs.summary(rows))
    if report:
        report.write(operator_runs.as_json(rows))
    if args.record:
        options = {"per-folder": args.per_folder, "sample": args.sample, "seed": args.seed}
        _recorded(figures.record_operators([asdict(row) for row in rows], {k: v for k, v in options.items() if v is not None},
                                           operator_runs.OUTCOMES, sum(len(operators.of_file(file)) for file in operators.targets())))
    return 1 if any(row.outcome == "survived" for row in rows) else 0


def command_coverage(args: argparse.Namespace) -> int:
    """Count which lines and branches of mm/ and pv/ the suites run, on every backend; HTML is left in build/report/coverage/."""
    figures_found = coverage.measure(args.only, _to_stderr)
    print(coverage.table(figures_found))
    print(f"\nline by line: {(coverage.REPORT / 'index.html').relative_to(catalogue.ROOT)}")
    if args.record:
        _recorded(figures.record("coverage", figures_found))
    return 0


def command_iso(args: argparse.Namespace) -> int:
    """Leave one hybrid GRUB image, for BIOS and UEFI."""
    build = Build(debug=not args.release)
    build.make()
    target = callers_path(args.output) if args.output else catalogue.ROOT / "build/pteron.iso"
    target.parent.mkdir(parents=True, exist_ok=True)
    make_iso(build, target, args.append)
    print(target)
    return 0


def _default_jobs() -> int:
    """One for each core, as far as there is memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(len(os.sched_getaffinity(0)), memory // JOB_MEMORY, MAX_JOBS))


def command_test(args: argparse.Namespace) -> int:
    """Everything that CI runs; JUnit XML, and the output of each test as it fails (failures.txt), are left in build/report/."""
    report = catalogue.ROOT / "build/report"
    report.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": "tests"}
    if args.long:
        environment["PTERON_LONG"] = "1"
    if args.xen_debug:
        environment["PTERON_XEN_DEBUG"] = "1"
        args.pytest_args.insert(0, "tests/system/test_xen_debug.py")
    else:
        args.pytest_args.insert(0, "tests/system")
    jobs = ["-n", str(args.jobs)] if args.jobs > 1 and "--pdb" not in args.pytest_args else []
    status = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", "tests/pytest.ini",
         f"--junitxml={report}/junit.xml", *jobs, *args.pytest_args],
        cwd=catalogue.ROOT, env=environment, check=False).returncode
    return {0: 0, 1: 1, 4: 2}.get(status, TROUBLE)  # pytest: 1 is a failed test, 4 bad usage


def command_new(args: argparse.Namespace) -> int:
    """Write the start of a suite, which builds, runs and fails until it is filled in."""
    path = scaffold.new_suite(args.name, args.room)
    print(f"{path.relative_to(catalogue.ROOT)}: fill it in; ./pteron run --suite {args.name} runs it, and fails until then")
    return 0


def command_clean(_: argparse.Namespace) -> int:
    """Remove everything that was built."""
    if (catalogue.ROOT / "build").exists():
        shutil.rmtree(catalogue.ROOT / "build")
    return 0


def _gdb_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--gdb-arg", dest="gdb_args", action="append", default=[], metavar="ARG",
                        help="an argument for gdb")


def _record_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--record", action="store_true",
                        help="keep the figures in docs/figures, of which make docs makes the tables of the documents")


def _parser() -> argparse.ArgumentParser:
    parser = Arguments(
        prog="./pteron", epilog=EPILOG,
        description="Pteron: an SMP kernel that changes page tables in batches, and tests that "
                    "nothing stale was ever seen.")
    parser.add_argument("--version", action="version", version=f"pteron {catalogue.version()}")
    commands = parser.add_subparsers(title="commands", required=True)

    def command(name: str, function) -> argparse.ArgumentParser:
        p = commands.add_parser(name, help=function.__doc__, description=function.__doc__,
                                epilog=EPILOG)
        p.set_defaults(function=function, parser=p)
        return p

    p = command("run", command_run)
    add_run_options(p)
    p.add_argument("--json", metavar="FILE", help="write the result as one JSON object; - is standard output, all else then goes to standard error")
    _record_option(p)
    p.add_argument("--junit", metavar="FILE", help="write the result as JUnit XML; - is standard output")
    p.add_argument("--seeds", type=number(1, 1 << 20), default=1, metavar="N",
                   help="run N seeds, from --seed on, and say how many ways they went (default: %(default)s)")
    p.add_argument("--repeat", type=number(1, 1 << 20), default=1, metavar="N", help="run all that N times (default: %(default)s)")
    p.add_argument("--until-fail", action="store_true", help="until a run does not pass; alone, without an end")
    p.add_argument("--jobs", type=number(1, MAX_JOBS), default=1, metavar="N",
                   help="so many runs side by side, of --seeds and --repeat (default: %(default)s)")
    p.add_argument("--failed", action="store_true",
                   help="the last run that did not pass again, with the suites that failed in it")
    p.add_argument("--show-command", action="store_true", help="instead of a run, print QEMU's command line")
    p = command("replay", command_replay)
    p.add_argument("line", metavar="LINE|FILE", nargs="?",
                   help="the replay line (quoted), or a log or JSON that holds it; without it, the last run that did not pass")
    p.add_argument("--gdb", action="store_true", help="in gdb, stopped at the failure")
    _gdb_argument(p)
    p = command("trace", command_trace)
    add_run_options(p)
    p.add_argument("--output", metavar="FILE", help="where to leave it (default: build/trace.json)")
    p = command("test", command_test)
    p.add_argument("--jobs", type=number(1, MAX_JOBS), default=_default_jobs(), metavar="N",
                   help="so many tests side by side (default: one for each core that has 3 GiB of memory: %(default)s)")
    p.add_argument("--long", action="store_true",
                   help="also what differs little from the rest: more of the matrix of boots, all of stress on 8 vCPUs of Xen")
    p.add_argument("--xen-debug", action="store_true",
                   help="instead: compare with the counters of a debug Xen, built from source first")
    p.epilog = "what is not known here goes to pytest, such as -k EXPRESSION; " + EPILOG
    p = command("bench", command_bench)
    p.add_argument("--on", choices=list(bench.WAYS), help="where (default: qemu; with --against both)")
    instead = p.add_mutually_exclusive_group()
    instead.add_argument("--contention", action="store_true",
                         help="instead: how often page faults wait for a lock, with 1 to 32 vCPUs")
    instead.add_argument("--against", choices=["linux"],
                         help="instead: one program on Pteron and on Linux, in a table; JSON, CSV and charts are "
                              "left in build/report/")
    p.add_argument("--side", action="append", choices=list(against.SIDES), default=[],
                   help="with --against: only this kernel; may be repeated")
    p.add_argument("--group", action="append", choices=against.groups(), default=[],
                   help="with --against: only this group of figures; may be repeated")
    p.add_argument("--json", metavar="FILE", help="write the figures as one JSON object")
    _record_option(p)
    p = command("mutants", command_mutants)
    p.add_argument("--seeds", type=number(1, 1000), default=20, metavar="N",
                   help="how many seeds for each bug (default: %(default)s)")
    p.add_argument("--replays", type=number(0, 1000), default=10, metavar="N",
                   help="how often to repeat each bug's first detection (default: %(default)s)")
    p.add_argument("--bug", action="append", default=[], metavar="NAME", type=bug,
                   help="only this one; may be repeated")
    p.add_argument("--json", metavar="FILE", help="write the table as JSON")
    _record_option(p)
    p = command("model", command_model)
    p.add_argument("--bug", action="append", default=[], metavar="NAME", choices=list(model.bugs()),
                   help="only this one; may be repeated")
    p = command("operators", command_operators)
    p.add_argument("--file", action="append", default=[], metavar="FILE", type=_targets_of,
                   help="only mutants of this one, or of this folder; may be repeated")
    p.add_argument("--only", action="append", default=[], type=number(1, 1 << 32), metavar="N",
                   help="only the mutant of this number; may be repeated")
    p.add_argument("--sample", type=number(1, 1 << 32), metavar="N", help="not more than N of each file")
    p.add_argument("--per-folder", type=number(1, 1 << 32), metavar="N",
                   help="not more than N of each folder, those below it apart")
    p.add_argument("--seed", type=number(0, (1 << 63) - 1), default=1, metavar="N",
                   help="of the sample (default: %(default)s)")
    p.add_argument("--jobs", type=number(1, MAX_JOBS), default=os.cpu_count(), metavar="N",
                   help="so many side by side (default: one for each core)")
    p.add_argument("--json", metavar="FILE", help="write the rows as JSON")
    _record_option(p)
    p = command("coverage", command_coverage)
    p.add_argument("--only", action="append", default=[], choices=list(coverage.RUNS), metavar="RUN",
                   help="only this run; may be repeated: " + "; ".join(coverage.RUNS))
    _record_option(p)
    p = command("list", command_list)
    p.add_argument("--json", action="store_true", help="as one JSON object")
    p = command("gdb", command_gdb)
    add_run_options(p)
    p.set_defaults(gdb_commands=[])
    _gdb_argument(p)
    p = command("iso", command_iso)
    p.add_argument("--output", metavar="FILE", help="where to leave it (default: build/pteron.iso)")
    p.add_argument("--append", default="", metavar='"WORDS"', help="the kernel's command line")
    p.add_argument("--release", action="store_true", help="a build without assertions")
    p = command("new", command_new)
    p.add_argument("kind", choices=["suite"], help="what to write")
    p.add_argument("name", metavar="NAME", help="of the suite")
    p.add_argument("--room", choices=scaffold.rooms(), required=True, metavar="ROOM",
                   help="the room of tests/rooms.txt that it tests, such as mm/range")
    command("clean", command_clean)
    return parser


def _parse(argv: list[str]) -> argparse.Namespace:
    """The arguments; what comes behind -- is a program and its own."""
    end = argv.index("--") if "--" in argv else len(argv)
    args, unknown = _parser().parse_known_args(argv[:end])
    args.program = tuple(argv[end + 1:])
    if args.function is command_test:
        args.pytest_args = unknown + argv[end:]
    elif unknown:
        _refuse(args.parser, unknown)
    elif end < len(argv) and "initrd" not in args:
        args.parser.error("-- and a program: only run, trace and gdb take one")
    elif end < len(argv) and not args.program:
        args.parser.error("after -- comes the name of a program, and its arguments")
    return args


def _refuse(parser: argparse.ArgumentParser, unknown: list[str]) -> None:
    options = [o for action in parser._actions for o in action.option_strings if o.startswith("--")]
    close = difflib.get_close_matches(unknown[0].partition("=")[0], options, 3)
    parser.error(f"unrecognized arguments: {' '.join(unknown)}; " +
                 (f"did you mean {' or '.join(close)}?" if close else f"the options are: {' '.join(options)}"))


# What ends a command, and its exit status.
_ENDS = {
    TROUBLE: (BuildError, BugFileError, bench.BenchError, model.ModelError, operator_runs.OperatorsError, trace.TraceError,
              coverage.CoverageError, OSError),
    2: (UsageError, ReportError, program.ProgramError, replay.NoReplay, runs.NoRun, scaffold.ScaffoldError),
}


def _say_last(text: str) -> None:
    """Even if nobody reads."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        pass


FIRST_STEPS = """Pteron: a kernel that changes page tables in batches, and the tests that look for anything stale.

  ./pteron run                       boot it in QEMU and run its suites: one to two minutes
  ./pteron run --on xen              the same as a Xen PV guest
  ./pteron run --suite zap --bug flush-only-here    see a mistake be caught, and how it is told
  ./pteron list                      the suites, the seeded bugs, the backends
  ./pteron test                      all that CI runs
  ./pteron run --help                all options; --help alone tells the commands

What is missing on this machine is installed, or you are told how. README.md has the rest."""


def _run_command(argv: list[str]) -> int:
    if not argv:
        print(FIRST_STEPS)
        return 2
    args = _parse(argv)
    status = args.function(args)
    sys.stdout.flush()
    return status


def main(argv: list[str] | None = None) -> int:
    for ends in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(ends) != signal.SIG_IGN:  # as under nohup
            signal.signal(ends, signal.default_int_handler)
    if sys.stdout is None:
        _say_last("pteron: standard output is closed")
        return TROUBLE
    try:
        return _run_command(sys.argv[1:] if argv is None else argv)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or Python complains at its end
        return TROUBLE
    except KeyboardInterrupt:
        _say_last("\npteron: interrupted")
        return TROUBLE
    except tuple(e for errors in _ENDS.values() for e in errors) as error:
        text = str(error).rstrip()
        if isinstance(error, BuildError):
            text += "\npteron: the build failed; see above"
        elif isinstance(error, FileNotFoundError) and error.filename and "/" not in str(error.filename):
            text = f"there is no {error.filename} in PATH: {os.environ.get('PATH')}"
        elif isinstance(error, OSError) and error.filename:
            text = f"{error.filename}: {error.strerror}"
        _say_last(f"pteron: {text}")
        return next(status for status, errors in reversed(_ENDS.items()) if isinstance(error, errors))


if __name__ == "__main__":
    sys.exit(main())
