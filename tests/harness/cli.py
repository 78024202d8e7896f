"""The commands of ./pteron."""

import argparse
import difflib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from . import against, bench, bench_report, catalogue, contention, model, mutants, operator_runs, operators, program, replay, \
    scaffold, trace
from .bug_files import BugFileError
from .build import Build, BuildError, check_compiler, make_iso
from .kvm import choose_accel
from .machine import PATIENCE, TURNS, Config, drop_scratch, make_scratch, qemu_command
from .report import Printer, advice, summary
from .report_file import ReportError, callers_path, report_file
from .runner import TROUBLE, run
from .tree import build_of

MIN_MEM, MAX_MEM = 48, 1 << 20
MAX_TCG_CPUS, MAX_XEN_CPUS, MAX_CPUS = 64, 32, 255
MAX_JOBS = 64
NAMED_MAX = 100  # names that a refusal lists
JOB_MEMORY = 3 << 30  # what a test may need: the search of a model, 2 GB, or a guest and its QEMU

EPILOG = ("exit status: 0 passed, 1 a test failed, 2 usage, 3 the kernel crashed, hung or gave no verdict, "
          "125 the tool had trouble of its own: a build failed, QEMU did not start, it was interrupted, a disk is full")
# The words of the kernel's command line that options own.
OWNED_WORDS = {"backend": "--backend", "suite": "--suite", "seed": "--seed", "lazy": "--lazy", "tables": "--tables",
               "turns": "--deterministic", "shuffle": "--shuffle", "rounds": "--rounds", "replay": "./pteron replay"}


class UsageError(Exception):
    """Something that the caller asked for cannot be; the text says what can."""


def _unknown(kind: str, name: str, known: list[str]) -> str:
    """What to say of a @name that is not @known: those like it, or all."""
    close = difflib.get_close_matches(name, known, 3)
    if close:
        return f"there is no {kind} {name!r}; did you mean {' or '.join(close)}?"
    return f"there is no {kind} {name!r}; " + (f"there are: {', '.join(known)}" if len(known) <= NAMED_MAX else
                                              "./pteron list names them all")


class _Arguments(argparse.ArgumentParser):
    """Says what is wrong in one line, and where all options are explained."""

    def error(self, message: str):
        if m := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            close = difflib.get_close_matches(m[1], re.findall(r"'(.*?)'", m[2]), 3)
            message += f"; did you mean {' or '.join(close)}?" if close else ""
        self.exit(2, f"{self.prog}: error: {message}\n{self.prog} --help explains all options\n")


def _number(low: int, high: int):
    def parse(text: str) -> int:
        value = int(text, 0)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value
    parse.__name__ = f"number from {low} to {high}"
    return parse


def _targets_of(text: str) -> list[str]:
    """What --file of `operators` names: a file, or all of a folder and those below it."""
    known = operators.targets()
    files = [file for file in known if file == text or file.startswith(text.rstrip("/") + "/")]
    if not files:
        raise argparse.ArgumentTypeError(f"no mutants are made of {text!r}; they are of: {' '.join(known)}")
    return files


def _compiler(text: str) -> str:
    try:
        return check_compiler(text)
    except (BuildError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _suites(text: str) -> str:
    known = [s.name for s in catalogue.suites()] + ["default", "all"]
    for name in text.split(","):
        if name not in known:
            raise argparse.ArgumentTypeError(_unknown("suite", name, known))
    return text


def _bug(text: str) -> str:
    known = [b.name for b in catalogue.bugs()]
    if text not in known:
        raise argparse.ArgumentTypeError(_unknown("seeded bug", text, known))
    return text


def _run_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = ("-- PROGRAM [ARGUMENT...] at the end: instead of the suites, run a static program of the initrd; "
                     "it passes if it exits with status 0; " + EPILOG)
    add = parser.add_argument
    add("--on", choices=catalogue.MACHINES, default="qemu", help="where to boot (default: %(default)s)")
    add("--backend", choices=catalogue.BACKENDS,
        help="who changes the page tables (default: native, and xen on Xen)")
    add("--cpus", type=_number(1, MAX_CPUS), default=2, metavar="N",
        help="virtual CPUs, 1 to 64; up to 255 with --accel kvm (default: %(default)s)")
    add("--mem", type=_number(MIN_MEM, MAX_MEM), default=256, metavar="MIB",
        help="memory in MiB (default: %(default)s)")
    add("--boot", choices=catalogue.BOOT_PATHS, default="pvh", help="boot path (default: %(default)s)")
    add("--accel", choices=["auto", "kvm", "tcg"], default="auto",
        help="auto uses KVM where it truly works (default: %(default)s)")
    add("--cpu", default="max", metavar="MODEL", help="QEMU's CPU model (default: %(default)s)")
    add("--suite", type=_suites, default="default", metavar="NAME[,NAME]|all",
        help="what to run; `./pteron list` names them (default: %(default)s)")
    add("--seed", type=_number(0, (1 << 63) - 1), default=1, metavar="N",
        help="of all randomness (default: %(default)s)")
    add("--shuffle", action="store_true", help="run the suites in an order that the seed chooses")
    add("--rounds", type=_number(1, 1 << 32), metavar="N",
        help="rounds of each stress thread (default: each suite's own)")
    add("--lazy", choices=["on", "off"], default="on",
        help="off: every update takes effect at once (default: %(default)s)")
    add("--tables", choices=["on", "off"], default="on",
        help="off: never change a whole page table at once (default: %(default)s)")
    add("--append", default="", metavar='"WORDS"', help="more words for the kernel's command line")
    add("--initrd", metavar="FILE",
        help="a cpio archive (newc), or one static ELF program, that holds the PROGRAM to run; default: the one built")
    add("--patience", type=_number(1, 1 << 20), default=PATIENCE, metavar="SECONDS",
        help="without a line of output until a run counts as hung (default: %(default)s)")
    add("--release", action="store_true", help="a build without assertions")
    add("--bug", type=_bug, metavar="NAME",
        help="break the kernel in one place; `./pteron list` names the seeded bugs")
    add("--deterministic", action="store_true",
        help="instructions are the clock: the same image and seed give the same output, byte for byte")
    add("--icount", type=_number(0, 10), metavar="SHIFT",
        help="the clock counts instructions, 2^SHIFT ns each; implies TCG, one CPU at a time")
    add("--cc", type=_compiler, default="gcc", metavar="CC",
        help="the compiler: a name or a path, and options if need be, as in 'clang -O1' (default: %(default)s)")


def _check_program(args: argparse.Namespace) -> None:
    """What -- and --initrd ask for can be had."""
    if not args.program:
        if args.initrd and "init=" not in args.append:
            raise UsageError(f"--initrd {args.initrd}: say which program of it to run: -- PROGRAM [ARGUMENT...]")
        return
    if args.suite != "default" or "init=" in args.append:
        raise UsageError("a program runs instead of the suites: -- does not go with --suite and init=")
    program.check_arguments(args.program)
    if args.initrd:
        program.check_initrd(args.initrd, args.program[0])


def _check_xen(args: argparse.Namespace) -> None:
    """Nothing is asked for that would be ignored: Xen boots in one way, on one kind of CPU."""
    if args.cpus > MAX_XEN_CPUS:
        raise UsageError(f"--cpus {args.cpus}: on Xen 1 to {MAX_XEN_CPUS}")
    for option, value, only in (("boot", args.boot, ["pvh"]), ("cpu", args.cpu, ["max"]),
                                ("accel", args.accel, ["auto", "tcg"])):
        if value not in only:
            raise UsageError(f"--{option} {value} does not go with --on {args.on}: Xen is always loaded by QEMU itself, "
                             "under TCG, on a CPU without SMAP")


def _check_words(append: str) -> None:
    """What an option owns is asked for by that option: the run is labelled, and replayed, by it."""
    for word in append.split():
        if option := OWNED_WORDS.get(word.partition("=")[0]):
            raise UsageError(f"--append {word}: use {option}")


def _check_accel(args: argparse.Namespace) -> None:
    """KVM counts no instructions; and who wants more CPUs than TCG takes says so, whatever this machine has."""
    if args.icount is not None and args.accel == "kvm":
        raise UsageError("--accel kvm does not go with --deterministic and --icount: only TCG counts instructions")
    if args.accel != "kvm" and args.cpus > MAX_TCG_CPUS:
        raise UsageError(f"--cpus {args.cpus}: TCG takes 1 to {MAX_TCG_CPUS}, --accel kvm up to {MAX_CPUS}")


def _config(args: argparse.Namespace, say=print) -> Config:
    _check_words(args.append)
    args.initrd = callers_path(args.initrd).resolve() if args.initrd else None
    _check_program(args)
    on_xen = args.on != "qemu"
    if args.deterministic and args.icount is None:
        args.icount = TURNS
    backend = args.backend or ("xen" if on_xen else "native")
    if (backend in catalogue.XEN_BACKENDS) != on_xen:
        raise UsageError(f"--backend {backend} does not go with --on {args.on}: on xen and xl there are "
                         "xen and ptwr, on qemu there are native, deferred and shadow")
    if on_xen:
        _check_xen(args)
    _check_accel(args)
    if on_xen or args.icount is not None:
        args.accel = "tcg"
    config = Config(
        build=build_of(catalogue.bug(args.bug or ""), args.cc, not args.release), on=args.on, bug=args.bug or "", backend=backend,
        cpus=args.cpus, mem=args.mem, boot=args.boot, cpu=args.cpu, suite=args.suite, seed=args.seed,
        rounds=args.rounds, lazy=args.lazy, tables=args.tables, shuffle=args.shuffle,
        append=args.append, icount=args.icount,
        initrd=args.initrd, program=args.program, patience=args.patience)
    if len(config.cmdline()) > config.cmdline_max:
        raise UsageError(f"the kernel's command line is too long: {len(config.cmdline())} characters; on "
                         f"{config.on} there is room for {config.cmdline_max}:\n{config.cmdline()}")
    say(f"pteron: building {config.build.directory.relative_to(catalogue.ROOT)}")
    config.build.make()
    config.accel = choose_accel(config, args.accel, say)
    return config


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def command_run(args: argparse.Namespace) -> int:
    """Build, boot, run suites, print KTAP and a summary."""
    if args.seeds > 1:
        return _run_seeds(args)
    report = report_file("--json", args.json)
    config = _config(args, _to_stderr)
    printer = Printer(suites=not config.program)
    result = run(config, printer.line)
    printer.close()
    print("\n" + summary(result))
    if result.verdict != "passed":
        print("\n" + advice(result))
    if report:
        report.write(json.dumps(result.as_json(), indent=2) + "\n")
    return result.exit_code


def _run_seeds(args: argparse.Namespace) -> int:
    """Seed after seed, a line each; then how many different ways they went."""
    if args.json:
        raise UsageError("--json takes the result of one run: not with --seeds")
    config = _config(args, _to_stderr)
    orders, worst = set(), 0
    for seed in range(args.seed, args.seed + args.seeds):
        result = run(replace(config, seed=seed))
        if result.verdict == "interrupted":
            raise KeyboardInterrupt
        orders.add(result.output.lock_order)
        worst = max(worst, result.exit_code)
        print(f"seed {seed}: {result.verdict}, lock order {result.output.lock_order or 'not recorded'}, "
              f"{result.output.counters.get('page_faults', 0):,} page faults", flush=True)
        if result.exit_code:
            print(advice(result), flush=True)
    print(f"{args.seeds} seeds, {len(orders - {''})} distinct orders of lock acquisitions")
    return worst


def command_trace(args: argparse.Namespace) -> int:
    """Run with the trace on and write it for Perfetto or Chrome, a track for each CPU."""
    if args.release:
        raise UsageError("trace --release: only debug builds record events")
    report = report_file("--output", args.output or str(catalogue.ROOT / "build/trace.json"))
    args.append = f"{args.append} trace=on".strip()
    config = _config(args, _to_stderr)
    result = run(config, (printer := Printer(suites=not config.program)).line)
    printer.close()
    report.write(trace.as_json(result.output.kernel_lines))
    events = len(trace.parse(result.output.kernel_lines))
    if not events:
        raise trace.TraceError(f"the run ({result.verdict}) recorded no events: only debug builds do")
    print(f"\n{events:,} events are in {args.output or 'build/trace.json'}: open it in https://ui.perfetto.dev or chrome://tracing")
    return result.exit_code


def command_replay(args: argparse.Namespace) -> int:
    """Run a failure again, from its replay line or from a file that holds it."""
    line = replay.find(args.line, callers_path(args.line))
    _to_stderr(f"pteron: {line}")
    again = _parse(replay.arguments(line))
    if not args.gdb:
        return command_run(again)
    again.gdb_args, again.gdb_commands = args.gdb_args, replay.GDB_COMMANDS
    return command_gdb(again)


def command_list(_: argparse.Namespace) -> int:
    """Suites, backends and boot paths, a line each."""
    for suite in catalogue.suites():
        mark = "" if suite.default else " (not in the default run)"
        print(f"suite    {suite.name:<12} {suite.what}{mark}")
    for bug in catalogue.bugs():
        print(f"bug      {bug.name:<20} {bug.provenance} ({' '.join(bug.backends)}: {bug.suites})")
    for kind, table in (("backend", catalogue.BACKENDS), ("boot", catalogue.BOOT_PATHS),
                        ("on", catalogue.MACHINES)):
        for name, what in table.items():
            print(f"{kind:<8} {name:<12} {what}")
    return 0


def _gdb(config: Config, args: argparse.Namespace, sock: Path) -> list[str]:
    commands = [f"target remote {sock}", *args.gdb_commands]
    return ["gdb", "-q", str(config.build.image), *(word for c in commands for word in ("-ex", c)), *args.gdb_args]


def command_gdb(args: argparse.Namespace) -> int:
    """Boot stopped at the first instruction and open gdb with symbols."""
    config = _config(args, _to_stderr)
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
    if args.against:
        text, figures = _bench_against(args)
    elif args.contention:
        rows = contention.measure(on, say=_to_stderr)
        text, figures = contention.table(rows), contention.as_json(on, rows)
    else:
        measured = bench.measure(on, _to_stderr)
        text, figures = bench.table(on, measured) + "\n\n" + bench.curve(measured), bench.as_json(on, measured)
    print(text)
    if report:
        report.write(figures)
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
    return 1 if any(row.outcome == "survived" for row in rows) else 0


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


def _parser() -> argparse.ArgumentParser:
    parser = _Arguments(
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
    _run_options(p)
    p.add_argument("--json", metavar="FILE", help="write the result as one JSON object; - is standard output, all else then goes to standard error")
    p.add_argument("--seeds", type=_number(1, 1 << 20), default=1, metavar="N",
                   help="run N seeds, from --seed on, and say how many ways they went (default: %(default)s)")
    p = command("replay", command_replay)
    p.add_argument("line", metavar="LINE|FILE", help="the replay line (quoted), or a log or JSON that holds it")
    p.add_argument("--gdb", action="store_true", help="in gdb, stopped at the failure")
    _gdb_argument(p)
    p = command("trace", command_trace)
    _run_options(p)
    p.add_argument("--output", metavar="FILE", help="where to leave it (default: build/trace.json)")
    p = command("test", command_test)
    p.add_argument("--jobs", type=_number(1, MAX_JOBS), default=_default_jobs(), metavar="N",
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
    p = command("mutants", command_mutants)
    p.add_argument("--seeds", type=_number(1, 1000), default=20, metavar="N",
                   help="how many seeds for each bug (default: %(default)s)")
    p.add_argument("--replays", type=_number(0, 1000), default=10, metavar="N",
                   help="how often to repeat each bug's first detection (default: %(default)s)")
    p.add_argument("--bug", action="append", default=[], metavar="NAME", type=_bug,
                   help="only this one; may be repeated")
    p.add_argument("--json", metavar="FILE", help="write the table as JSON")
    p = command("model", command_model)
    p.add_argument("--bug", action="append", default=[], metavar="NAME", choices=list(model.bugs()),
                   help="only this one; may be repeated")
    p = command("operators", command_operators)
    p.add_argument("--file", action="append", default=[], metavar="FILE", type=_targets_of,
                   help="only mutants of this one, or of this folder; may be repeated")
    p.add_argument("--only", action="append", default=[], type=_number(1, 1 << 32), metavar="N",
                   help="only the mutant of this number; may be repeated")
    p.add_argument("--sample", type=_number(1, 1 << 32), metavar="N", help="not more than N of each file")
    p.add_argument("--per-folder", type=_number(1, 1 << 32), metavar="N",
                   help="not more than N of each folder, those below it apart")
    p.add_argument("--seed", type=_number(0, (1 << 63) - 1), default=1, metavar="N",
                   help="of the sample (default: %(default)s)")
    p.add_argument("--jobs", type=_number(1, MAX_JOBS), default=os.cpu_count(), metavar="N",
                   help="so many side by side (default: one for each core)")
    p.add_argument("--json", metavar="FILE", help="write the rows as JSON")
    command("list", command_list)
    p = command("gdb", command_gdb)
    _run_options(p)
    p.set_defaults(gdb_commands=["hbreak kernel_entry"])
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
              OSError),
    2: (UsageError, ReportError, program.ProgramError, replay.NoReplay, scaffold.ScaffoldError),
}


def _say_last(text: str) -> None:
    """Even if nobody reads."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError, AttributeError):
        pass


def _run_command(argv: list[str]) -> int:
    args = _parse(argv)
    status = args.function(args)
    sys.stdout.flush()
    return status


def main(argv: list[str] | None = None) -> int:
    for ends in (signal.SIGTERM, signal.SIGHUP):
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
        failed = "; the build failed" if isinstance(error, BuildError) else ""
        _say_last(f"pteron: {error}{failed}")
        return next(status for status, errors in reversed(_ENDS.items()) if isinstance(error, errors))


if __name__ == "__main__":
    sys.exit(main())
