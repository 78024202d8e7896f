"""./pteron run: one run or many, and what is left of them."""

import argparse
import shlex

from .. import figures, many, replay, result_files, runs
from ..forecast import Forecast, in_words
from ..machine import Config, make_scratch, qemu_command
from ..options import UsageError, add_run_options, configuration, number
from ..report import Printer, advice, summary
from ..result_files import ResultFiles
from ..runner import TROUBLE, Result, run
from ..terminal import COLOUR_CHOICES, Terminal
from . import Command, place_of, place_options, record_option, recorded, to_stderr


def _show_command(config: Config) -> int:
    """QEMU's, for who wants to start it by hand. Its files stay: what they are made of takes seconds."""
    scratch = make_scratch()
    print(shlex.join(qemu_command(config, scratch)))
    to_stderr(f"pteron: its files are in {scratch}; remove that when you need it no more")
    return 0


# Options of the command, and not of what it runs.
_OF_NO_RUN = ("json", "junit", "html", "seeds", "repeat", "until_fail", "jobs", "hosts", "host_folder", "ssh", "show_command", "record", "color",
              "function", "parser", "parse")


def _failed_again(args: argparse.Namespace) -> argparse.Namespace:
    """The last run that did not pass, with the suites that failed in it."""
    entry, plain = runs.last_failure(), args.parse(["run"])
    beside = (*_OF_NO_RUN, "failed", "suite", "case")
    if other := [name for name, value in vars(args).items() if name not in beside and value != getattr(plain, name)]:
        raise UsageError(f"--failed takes the options of the last run that did not pass, not --{other[0].replace('_', '-')}; "
                         "--suite and --case may narrow it")
    to_stderr(f"pteron: {entry['replay']}")
    again = args.parse(replay.arguments(entry["replay"]))
    if entry["failed"]:
        again.suite = ",".join(entry["failed"])
    if args.suite != plain.suite:
        again.suite = args.suite
    if args.case:
        again.case = args.case
    for name in _OF_NO_RUN:
        setattr(again, name, getattr(args, name))
    return again


def _tell(result: Result, terminal: Terminal) -> None:
    """A line, and for a failure why."""
    log = runs.keep(result)
    terminal.print(f"seed {result.config.seed}: {result.verdict} after {result.seconds:.1f} s, {result.output.course()}")
    if result.exit_code:
        terminal.print(f"{advice(result)}\nlog: {runs.shown(log)}")


def _tell_so_far(tally: many.Tally, total: int, slots: int, terminal: Terminal) -> None:
    """On a line of its own where there is a terminal. @total 0: without an end."""
    if terminal.interactive:
        done = len(tally.results)
        left = (total - done) * sum(r.seconds for r in tally.results) / done / min(slots, total) if done and total else 0
        terminal.status(f"  {done} of {total or 'endless'} runs" + (f", about {in_words(left)} left" if left else ""))


def _run_many(config: Config, args: argparse.Namespace, files: ResultFiles) -> int:
    """A line for each run; then how many went how, and in how many orders."""
    repeat = 0 if args.until_fail and args.repeat == 1 and args.seeds == 1 else args.repeat
    terminal, interrupted, place = Terminal(args.color), False, place_of(args)
    try:
        tally = many.run_all(many.configurations(config, args.seeds, repeat), place, args.until_fail,
                             lambda result: _tell(result, terminal), lambda tally: _tell_so_far(tally, args.seeds * repeat, place.slots, terminal))
    except many.Interrupted as error:
        tally, interrupted = error.tally, True
    terminal.print(("interrupted: " if interrupted else "") + tally.text())
    files.write(tally.results, True, interrupted)
    return TROUBLE if interrupted else tally.exit_code


def _run_one(config: Config, terminal: Terminal) -> Result:
    """Followed line by line, and told at its end."""
    before = runs.last_like(config)
    if before:
        to_stderr(f"pteron: the last such run took {in_words(before['seconds'])}")
    printer = Printer(not config.program, terminal, Forecast(before and before["suites"]))
    result = run(config, printer.line, on_quiet=printer.quiet)
    printer.close()
    log = runs.keep(result)
    terminal.print("\n" + summary(result))
    if result.verdict != "passed":
        terminal.print(f"\n{advice(result)}\nlog: {runs.shown(log)}")
    elif config.bug:
        terminal.print(f"\nthis run did not catch {config.bug}; where it is caught: ./pteron mutants --bug {config.bug} --seeds 1")
    return result


def command_run(args: argparse.Namespace) -> int:
    """Build, boot, run suites, print KTAP and a summary."""
    files = ResultFiles(args)
    if args.failed:
        args = _failed_again(args)
    several = args.seeds > 1 or args.repeat != 1 or args.until_fail
    if several and args.record:
        raise UsageError("--record takes the figures of one run: not with --seeds, --repeat and --until-fail")
    if args.hosts and not several:
        raise UsageError("--hosts shares out many runs: give --seeds, --repeat or --until-fail, too")
    config = configuration(args, to_stderr)
    if args.show_command:
        return _show_command(config)
    if several:
        return _run_many(config, args, files)
    result = _run_one(config, Terminal(args.color))
    files.write([result])
    if args.record and result.verdict == "passed":
        recorded(figures.record("run", {**result.as_json(), "summary": summary(result).splitlines()}))
    return result.exit_code


def add_run(command: Command) -> None:
    p = command("run", command_run)
    add_run_options(p)
    result_files.add_options(p)
    record_option(p)
    p.add_argument("--seeds", type=number(1, 1 << 20), default=1, metavar="N",
                   help="run N seeds, from --seed on, and say how many ways they went (default: %(default)s)")
    p.add_argument("--repeat", type=number(1, 1 << 20), default=1, metavar="N", help="run all that N times (default: %(default)s)")
    p.add_argument("--until-fail", action="store_true", help="until a run does not pass; alone, without an end")
    place_options(p, "runs of --seeds and --repeat")
    p.add_argument("--failed", action="store_true",
                   help="the last run that did not pass again, with the suites that failed in it")
    p.add_argument("--color", choices=COLOUR_CHOICES, default="auto",
                   help="auto: where standard output is a terminal, and NO_COLOR is not set (default: %(default)s)")
    p.add_argument("--show-command", action="store_true", help="instead of a run, print QEMU's command line")
