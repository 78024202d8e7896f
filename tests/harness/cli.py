"""./pteron: its parser, and how a command ends. The commands themselves are in commands/."""

import argparse
import difflib
import os
import signal
import sys

from . import bench, catalogue, coverage, model, operator_runs, program, replay, runs, scaffold, trace_lines
from .bug_files import BugFileError
from .build import BuildError
from .commands import again, completion, figures, iso, run, survey, tree
from .judge import JudgeError
from .options import EPILOG, Arguments, UsageError
from .report_file import ReportError
from .runner import TROUBLE
from .terminal import Terminal, to_stderr

# In the order of --help.
_COMMANDS = (run.add_run, survey.add_survey, again.add_replay, again.add_trace, tree.add_test, figures.add_bench, figures.add_mutants, figures.add_model,
             figures.add_operators, figures.add_coverage, tree.add_list, again.add_gdb, iso.add_iso, tree.add_new, tree.add_clean,
             completion.add_completion)


def _parser() -> argparse.ArgumentParser:
    parser = Arguments(
        prog="./pteron", epilog=EPILOG,
        description="Pteron: an SMP kernel that changes page tables in batches, and tests that "
                    "nothing stale was ever seen.")
    parser.add_argument("--version", action="version", version=f"pteron {catalogue.version()}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, function) -> argparse.ArgumentParser:
        p = commands.add_parser(name, help=function.__doc__, description=function.__doc__,
                                epilog=EPILOG)
        p.set_defaults(function=function, parser=p, parse=_parse)
        return p

    for add in _COMMANDS:
        add(command)
    return parser


def _parse(argv: list[str]) -> argparse.Namespace:
    """The arguments; what comes behind -- is a program and its own."""
    end = argv.index("--") if "--" in argv else len(argv)
    args, unknown = _parser().parse_known_args(argv[:end])
    args.program = tuple(argv[end + 1:])
    if args.function is tree.command_test:
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
    TROUBLE: (BuildError, BugFileError, bench.BenchError, model.ModelError, operator_runs.OperatorsError, trace_lines.TraceError,
              coverage.CoverageError, OSError),
    2: (UsageError, ReportError, program.ProgramError, replay.NoReplay, runs.NoRun, scaffold.ScaffoldError, JudgeError),
}


def _say_last(text: str) -> None:
    """Even if nobody reads."""
    try:
        to_stderr(text)
    except (OSError, ValueError, AttributeError):
        pass


FIRST_STEPS = """Pteron: a kernel that changes page tables in batches, and looks for anything stale.

  ./pteron run            boot it in QEMU and run its suites: a minute or two
  ./pteron run --on xen   the same as a Xen PV guest
  ./pteron run --suite zap --bug flush-only-here  see how a mistake is caught
  ./pteron list           the suites, the seeded bugs, the backends
  ./pteron test           all that CI runs
  ./pteron run --help     all options; --help alone tells the commands

What is missing here is installed, or you are told how. README.md has the rest."""


def _run_command(argv: list[str]) -> int:
    if "_ARGCOMPLETE" in os.environ:
        completion.complete(_parser())
    if not argv:
        Terminal().print(FIRST_STEPS)
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


def _let_go_of_output() -> None:
    """What could not be written is not tried once more as Python ends: it would complain, and end with a status of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except (ValueError, AttributeError):
        pass  # it is closed


if __name__ == "__main__":
    status_of_all = main()
    _let_go_of_output()
    sys.exit(status_of_all)
