"""./pteron survey: kernels and platforms, many seeds, one table."""

import argparse
import itertools
import shlex
import sys

from .. import figures
from ..forecast import in_words
from ..judge import kernels, versions
from ..judge import options as judged
from ..judge.qemus import QEMU
from ..judge.survey import FOLDER, Cell, Plan, Platform, Progress, Survey, bisect
from ..judge.survey_table import FORMS, Table
from ..judge.worker import work
from ..options import MAX_TCG_CPUS, UsageError, number, suites_of
from ..report_file import callers_path, report_file
from ..runner import TROUBLE
from ..terminal import Terminal
from . import Command, comma_list, place_of, place_options, recorded, to_stderr

RECORDED = ("kernels", "hypervisors")  # the documents that have a table of a survey


# --- what is asked for ---

def _cpu_counts(text: str) -> tuple[int, ...]:
    return tuple(number(1, MAX_TCG_CPUS)(part) for part in comma_list(text))


def _platforms(args: argparse.Namespace) -> tuple[Platform, ...]:
    """What is only for Xen multiplies only what runs on Xen."""
    found = []
    for on, qemu, cpus in itertools.product(args.on, args.qemu, args.cpus):
        if on == "qemu":
            found.append(Platform(on, qemu=qemu, cpus=cpus))
        else:
            found += [Platform(on, xen, words, qemu, cpus) for xen, words in itertools.product(args.xen, args.xen_append or [""])]
    return tuple(dict.fromkeys(found + [_one_platform(words, args.parse) for words in args.platform]))


def _one_platform(words: str, parse) -> Platform:
    """What --platform names, in options of ./pteron run."""
    args = parse(["run", *shlex.split(words)])
    platform = Platform(args.on, args.xen, args.xen_append, args.qemu, args.cpus)
    again = parse(["run", *platform.arguments()])
    if any(value != getattr(again, name) for name, value in vars(args).items() if name != "parser"):
        raise UsageError(f"--platform '{words}': a platform is told by --on, --xen, --xen-append, --qemu and --cpus")
    return platform


def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    """The kernels, exactly; they are fetched before anything runs, so that what cannot be had costs no time."""
    return tuple(name if name == kernels.PTERON else kernels.get(name, to_stderr).name for name in names)


def _between(text: str) -> list[str]:
    """Debian's kernels from one to another, of each version of Linux the newest build."""
    first, dots, last = text.partition("..")
    if not dots or not first or not last:
        raise UsageError(f"--bisect {text}: give two versions, as in linux-6.19.14..linux-7.3.4")
    ends = [kernels.find(end.removeprefix("linux-")) for end in (first, last)]
    low, high = (versions.key(end.version) for end in ends)
    found = {r.upstream: r for r in kernels.available() if not r.is_special and low <= versions.key(r.version) <= high}
    if len(found) < 2:
        raise UsageError(f"--bisect {text}: the second must be newer than the first")
    return [r.name for r in found.values()]


# --- the command ---

def _tell(terminal: Terminal):
    def tell(progress: Progress, key: str, result: dict) -> None:
        left = progress.total - progress.there - progress.done
        ahead = f", {progress.bad} did not pass, about {in_words(progress.left())} left" if left else ""
        if result["verdict"] != "passed":
            terminal.print(f"{result['verdict']}: {key.rpartition('-')[0]}: {(result['why'] or ['no verdict'])[0]}")
        text = f"pteron: {progress.there + progress.done} of {progress.total} runs{ahead}"
        (terminal.status if terminal.interactive else terminal.print)(text)
    return tell


def _bisect(survey: Survey, terminal: Terminal) -> list[str]:
    """Which versions are on the edges."""
    platform = survey.plan.platforms[0]

    def is_bad(kernel: str) -> bool:
        cell = Cell(_names((kernel,))[0], platform)
        survey.make([cell])
        bad = sum(result["verdict"] != "passed" for result in survey.results(cell))
        terminal.print(f"{kernel}: {f'{bad} of {len(survey.plan.seeds)} FAILED' if bad else 'all passed'}")
        return bad > 0
    found = bisect(list(survey.plan.kernels), is_bad)
    bad_at = {found.versions[i]: bad for i, bad in found.verdicts.items()}
    lines = [f"first bad: {b} (the last good one: {a})" if bad_at[b] else f"first good: {b} (the last bad one: {a})" for a, b in found.edges()]
    return lines or [f"all {len(bad_at)} that were tried are {'bad' if any(bad_at.values()) else 'good'}"]


def _check_words(words: tuple[str, ...], parse) -> None:
    """What a run refuses is refused here, before any is made."""
    args = parse(["run", *words])
    (suites_of if args.kernel == kernels.PTERON else judged.suites_of)(args.suite)


def _plan(args: argparse.Namespace) -> Plan:
    if args.bisect and args.kernels:
        raise UsageError("--bisect says which kernels: not with --kernel")
    names = tuple(_between(args.bisect)) if args.bisect else _names(args.kernels or (kernels.PTERON,))
    plan = Plan(names, _platforms(args), tuple(range(args.seed, args.seed + args.seeds)), args.suite, args.kernel_append, args.rounds)
    if args.bisect and len(plan.platforms) > 1:
        raise UsageError(f"--bisect takes one platform, not {len(plan.platforms)}")
    if "xen" not in args.on and "xl" not in args.on and (args.xen_append or any(args.xen)):
        raise UsageError("--xen and --xen-append are for runs on Xen, and count only on Xen: give --on xen, too")
    for cell in plan.cells():
        _check_words(plan.job(cell, args.seed).arguments, args.parse)
    return plan


def command_survey(args: argparse.Namespace) -> int:
    """Run kernels on platforms with many seeds, as far as there are no results yet, and make one table of it."""
    if args.job:
        return work(args.job, args.engine, args.parse)
    reports = {form: report_file(f"--{form}", getattr(args, form)) for form in FORMS if form != "text"}
    terminal = Terminal("auto", sys.stderr)
    plan = _plan(args)
    survey = Survey(plan, callers_path(args.folder) if args.folder else FOLDER, place_of(args), _tell(terminal))
    ended, status = [], 0
    try:
        if args.bisect:
            ended = _bisect(survey, terminal)
        else:
            survey.make(plan.cells())
    except KeyboardInterrupt:
        ended, status = ["interrupted: the same command goes on where it stopped"], TROUBLE
    terminal.clear()
    table = Table(survey)
    if not args.bisect:
        print(table.as_text())
    for line in ended:
        print(line)
    if args.record and not status:
        recorded(figures.record(f"survey-{args.record}", table.facts()))
    for form, report in reports.items():
        if report:
            report.write(FORMS[form](table))
    return status or int(table.is_bad())


def add_survey(command: Command) -> None:
    p = command("survey", command_survey)
    add = p.add_argument
    add("--kernel", dest="kernels", type=comma_list, metavar="KERNEL[,KERNEL]", help="as of ./pteron run (default: pteron)")
    add("--on", type=comma_list, default=("qemu",), metavar="MACHINE[,MACHINE]", help="qemu, xen, xl (default: qemu)")
    add("--xen", type=comma_list, default=("",), metavar="XEN[,XEN]", help="as of ./pteron run (default: this machine's)")
    add("--xen-append", action="append", metavar='"WORDS"', help="a platform with these words for Xen; may be repeated")
    add("--qemu", type=comma_list, default=(QEMU,), metavar="QEMU[,QEMU]", help=f"as of ./pteron run (default: {QEMU})")
    add("--cpus", type=_cpu_counts, default=(2,), metavar="N[,N]", help="virtual CPUs (default: 2)")
    add("--platform", action="append", default=[], metavar='"OPTIONS"',
        help="one more platform, in options of ./pteron run, as in '--on xen --qemu 11.1'; may be repeated")
    add("--suite", default="default", metavar="CHOICE[,CHOICE]", help="as of ./pteron run (default: %(default)s)")
    add("--rounds", type=number(1, 1 << 32), metavar="N", help="as of ./pteron run (default: each suite's own)")
    add("--seed", type=number(0, 1 << 62), default=1, metavar="N", help="the first (default: %(default)s)")
    add("--seeds", type=number(1, 1 << 20), default=1, metavar="N", help="how many (default: %(default)s)")
    add("--kernel-append", default="", metavar='"WORDS"', help="more words for the command line of kernels that are not Pteron")
    add("--bisect", metavar="A..B", help="instead of all of Debian's kernels from A to B as few as find the first bad and the first good one")
    place_options(p, "runs")
    add("--folder", metavar="FOLDER", help="where results are kept (default: build/survey)")
    for form in FORMS:
        if form != "text":
            add(f"--{form}", metavar="FILE", help=f"write the table as {form.upper() if form != 'markdown' else 'Markdown'}; - is standard output")
    add("--record", choices=RECORDED, help="keep the table in docs/figures, of which make docs makes that of docs/kernels.md or docs/hypervisors.md")
    add("--job", help=argparse.SUPPRESS)
    add("--engine", help=argparse.SUPPRESS)
