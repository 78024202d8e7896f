"""The commands that count: bench, mutants, model, operators and coverage."""

import argparse
import json
import os
from dataclasses import asdict

from .. import against, bench, bench_report, catalogue, contention, coverage, figures, model, mutants, operator_runs, operators, unreached
from ..options import UsageError, bug, number
from ..report_file import report_file
from . import MAX_JOBS, Command, place_of, place_options, record_option, recorded, to_stderr


def _bench_against(args: argparse.Namespace) -> tuple[str, str]:
    """The same program on Pteron and on Linux; the report, and its JSON."""
    places = [args.on] if args.on else list(against.PLACES)
    compared = against.sides(args.against, args.side or against.KINDS, to_stderr)
    about = against.configuration(compared)
    runs = against.measure(places, compared, args.group or against.groups(), 0 if args.group else against.BOOTS,
                           to_stderr, args.pages)
    return bench_report.publish(runs, about, catalogue.ROOT / "build/report")


def command_bench(args: argparse.Namespace) -> int:
    """Count the instructions and hypercalls of the range functions, with Linux's figures beside."""
    if not args.against and (args.side or args.group or args.pages):
        raise UsageError("--side, --group and --pages choose runs of --against KERNEL")
    report = report_file("--json", args.json)
    on = args.on or "qemu"
    if args.record and not (args.against or (on == "xen" and not args.contention)):
        raise UsageError("--record: the documents have figures of --on xen, and of --against KERNEL")
    if args.against:
        text, found = _bench_against(args)
    elif args.contention:
        rows = contention.measure(on, say=to_stderr)
        text, found = contention.table(rows), contention.as_json(on, rows)
    else:
        measured = bench.measure(on, to_stderr)
        text, found = bench.table(on, measured) + "\n\n" + bench.curve(measured), bench.as_json(on, measured)
    print(text)
    if report:
        report.write(found)
    if args.record:
        recorded(figures.record_bench("against" if args.against else "bench-xen", json.loads(found)))
    return 0


def add_bench(command: Command) -> None:
    p = command("bench", command_bench)
    p.add_argument("--on", choices=list(bench.WAYS), help="where (default: qemu; with --against both)")
    instead = p.add_mutually_exclusive_group()
    instead.add_argument("--contention", action="store_true",
                         help="instead: how often page faults wait for a lock, with 1 to 32 vCPUs")
    instead.add_argument("--against", metavar="KERNEL",
                         help="instead: one program on Pteron and on a Linux (linux, linux-VERSION or FILE: ./pteron list kernels; "
                              "several with commas), in a table; JSON, CSV and charts are left in build/report/")
    p.add_argument("--side", action="append", choices=against.KINDS, default=[],
                   help="with --against: only Pteron, or Linux as it is fastest, or with its defaults; may be repeated")
    p.add_argument("--group", action="append", choices=against.groups(), default=[],
                   help="with --against: only this group of figures; may be repeated")
    p.add_argument("--pages", type=number(1, 4096), metavar="N",
                   help="with --against: no operation touches more than N pages (default: 4096); the documents need 512")
    p.add_argument("--json", metavar="FILE", help="write the figures as one JSON object")
    record_option(p)


def command_mutants(args: argparse.Namespace) -> int:
    """Seed each bug into the kernel and see whether the suites catch it."""
    report = report_file("--json", args.json)
    print(mutants.heading())
    rows = mutants.table(list(range(1, args.seeds + 1)), args.bug, args.replays, place_of(args),
                         lambda text: print(text, flush=True))
    if report:
        report.write(mutants.as_json(rows))
    if args.record:
        recorded(figures.merge_mutants([asdict(row) for row in rows]))
    for row in rows:
        if row.replay:
            to_stderr(f"replay {row.bug or 'none'} on {row.backend}: {row.replay}")
    return 0 if all(row.ok for row in rows) else 1


def add_mutants(command: Command) -> None:
    p = command("mutants", command_mutants)
    p.add_argument("--seeds", type=number(1, 1000), default=20, metavar="N",
                   help="how many seeds for each bug (default: %(default)s)")
    p.add_argument("--replays", type=number(0, 1000), default=10, metavar="N",
                   help="how often to repeat each bug's first detection (default: %(default)s)")
    p.add_argument("--bug", action="append", default=[], metavar="NAME", type=bug,
                   help="only this one; may be repeated")
    place_options(p, "rows", min(os.cpu_count(), MAX_JOBS))
    p.add_argument("--json", metavar="FILE", help="write the table as JSON")
    record_option(p)


def command_model(args: argparse.Namespace) -> int:
    """Visit every state of the models (the .pml files of mm/ and kernel/), and find each bug that they can have."""
    print(model.heading(), flush=True)
    ok = True
    for result in model.searches(args.bug):
        print(model.line(result), flush=True)
        ok = ok and result.ok
    to_stderr("pteron: each counter-example, step by step: build/model/*/counter-example")
    return 0 if ok else 1


def add_model(command: Command) -> None:
    p = command("model", command_model)
    p.add_argument("--bug", action="append", default=[], metavar="NAME", choices=list(model.bugs()),
                   help="only this one; may be repeated")


def _targets_of(text: str) -> list[str]:
    """What --file of `operators` names: a file, or all of a folder and those below it."""
    known = operators.targets()
    files = [file for file in known if file == text or file.startswith(text.rstrip("/") + "/")]
    if not files:
        raise argparse.ArgumentTypeError(f"no mutants are made of {text!r}; they are of: {' '.join(known)}")
    return files


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
        recorded(figures.record_operators([asdict(row) for row in rows], {k: v for k, v in options.items() if v is not None},
                                           operator_runs.OUTCOMES, sum(len(operators.of_file(file)) for file in operators.targets())))
    return 1 if any(row.outcome == "survived" for row in rows) else 0


def add_operators(command: Command) -> None:
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
    record_option(p)


def command_coverage(args: argparse.Namespace) -> int:
    """Count which lines and branches of mm/ and pv/ the suites run, on every backend; HTML is left in build/report/coverage/."""
    if args.only and args.record:
        raise UsageError("--record: the documents have the figures of all runs together")
    figures_found = coverage.measure(args.only, to_stderr)
    print(coverage.table(figures_found))
    print(f"\nline by line: {(coverage.REPORT / 'index.html').relative_to(catalogue.ROOT)}")
    if args.only:
        return 0
    try:
        print("\nwhat no run reaches (tests/coverage-unreached.txt):\n" + coverage.reasons(figures_found["unreached"]))
    except unreached.UnreachedError as error:
        to_stderr(str(error))
        return 1
    if args.record:
        recorded(figures.record_coverage(figures_found))
    return 0


def add_coverage(command: Command) -> None:
    p = command("coverage", command_coverage)
    p.add_argument("--only", action="append", default=[], choices=list(coverage.RUNS), metavar="RUN",
                   help="only this run; may be repeated: " + "; ".join(coverage.RUNS))
    record_option(p)
