"""The options of a run: what they may be, and the configuration that they make."""

import argparse
import difflib
import fnmatch
import re

from . import catalogue, program
from .build import BuildError, check_compiler
from .judge import boot, kernels, qemus, xens
from .kvm import choose_accel
from .judge.qemus import QEMU
from .machine import PATIENCE, TURNS, Config
from .report_file import callers_path
from .terminal import to_stderr
from .tree import build_of

MIN_MEM, MAX_MEM, MEMORY = 48, 1 << 20, 256  # MiB; the last is the default
MAX_TCG_CPUS, MAX_XEN_CPUS, MAX_CPUS = 64, 32, 255
SUITES_MAX, CASES_MAX = 1024, 256  # kernel/param/cmdline.h
NAMED_MAX = 100  # names that a refusal lists

EPILOG = ("exit status: 0 passed, 1 a test failed, 2 usage, 3 the kernel crashed, hung or gave no verdict, "
          "125 the tool had trouble of its own: a build failed, QEMU did not start, it was interrupted, a disk is full")
# The words of the kernel's command line that options own.
OWNED_WORDS = {"backend": "--backend", "suite": "--suite", "case": "--case", "seed": "--seed", "lazy": "--lazy", "tables": "--tables",
               "turns": "--deterministic", "shuffle": "--shuffle", "rounds": "--rounds", "replay": "./pteron replay"}


class UsageError(Exception):
    """Something that the caller asked for cannot be; the text says what can."""


def unknown(kind: str, name: str, known: list[str]) -> str:
    """What to say of a @name that is not @known: those like it, or all."""
    close = difflib.get_close_matches(name, known, 3)
    if close:
        return f"there is no {kind} {name!r}; did you mean {' or '.join(close)}?"
    return f"there is no {kind} {name!r}; " + (f"there are: {', '.join(known)}" if len(known) <= NAMED_MAX else
                                              "./pteron list names them all")


class Arguments(argparse.ArgumentParser):
    """Says what is wrong in one line, and where all options are explained."""

    def error(self, message: str):
        if m := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            choices = [choice.strip("'") for choice in m[2].split(", ")]  # newer Pythons do not quote them
            close = difflib.get_close_matches(m[1], choices, 3)
            message += f"; did you mean {' or '.join(close)}?" if close else ""
        to_stderr(f"{self.prog}: error: {message}\n{self.prog} --help explains all options")
        self.exit(2)


def number(low: int, high: int):
    def parse(text: str) -> int:
        value = int(text, 0)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value
    parse.__name__ = f"number from {low} to {high}"
    return parse


def _compiler(text: str) -> str:
    try:
        return check_compiler(text)
    except (BuildError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _chosen_by(term: str, all_suites: list, tags: tuple[str, ...]) -> list[str]:
    """The suites that @term means: a name, a pattern of names, a tag, default or all."""
    for word, fits in (("all", lambda s: True), ("default", lambda s: s.default), (None, lambda s: term in s.tags),
                       (None, lambda s: fnmatch.fnmatchcase(s.name, term))):
        if word in (None, term) and (found := [s.name for s in all_suites if fits(s)]):
            return found
    raise UsageError("--suite: " + unknown("suite, tag or pattern", term, [s.name for s in all_suites] + ["default", "all", *tags]))


def chosen(text: str, all_suites: list, tags: tuple[str, ...]) -> set[str]:
    """What --suite names of @all_suites, whose tags are @tags: `m*,!mix` is all that begin with m, but mix."""
    wanted, left_out = [], []
    for term in text.split(","):
        (left_out if term.startswith("!") else wanted).append(_chosen_by(term.lstrip("!"), all_suites, tags))
    if not wanted:
        wanted = [_chosen_by("default", all_suites, tags)]
    names = {name for part in wanted for name in part} - {name for part in left_out for name in part}
    if not names:
        raise UsageError(f"--suite: {text!r} leaves no suite")
    return names


def suites_of(text: str) -> str:
    """The same of Pteron's own, as the kernel knows it."""
    names = chosen(text, catalogue.suites(), catalogue.TAGS)
    if len(",".join(names)) >= SUITES_MAX:
        raise UsageError(f"--suite: {text!r} names {len(names)} suites, more than the kernel's command line takes")
    if text in ("default", "all") or names == set(text.split(",")):
        return text
    return ",".join(sorted(names))


def _cases(text: str) -> str:
    """Which suites have them, the kernel knows."""
    if not re.fullmatch(r"\w+(,\w+)*", text) or len(text) >= CASES_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} are no names of cases, separated by commas, of less than {CASES_MAX} characters")
    return text


def bug(text: str) -> str:
    known = [b.name for b in catalogue.bugs()]
    if text not in known:
        raise argparse.ArgumentTypeError(unknown("seeded bug", text, known))
    return text


def add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = ("-- PROGRAM [ARGUMENT...] at the end: instead of the suites, run a static program of the initrd; "
                     "it passes if it exits with status 0; " + EPILOG)
    add = parser.add_argument
    add("--on", choices=catalogue.MACHINES, default="qemu", help="where to boot (default: %(default)s)")
    add("--backend", choices=catalogue.BACKENDS,
        help="who changes the page tables (default: native, and xen on Xen)")
    add("--cpus", type=number(1, MAX_CPUS), default=2, metavar="N",
        help="virtual CPUs, 1 to 64; up to 255 with --accel kvm (default: %(default)s)")
    add("--mem", type=number(MIN_MEM, MAX_MEM), metavar="MIB",
        help=f"memory in MiB (default: {MEMORY}; {boot.MEMORY} for another --kernel)")
    add("--boot", choices=catalogue.BOOT_PATHS, default="pvh", help="boot path (default: %(default)s)")
    add("--accel", choices=["auto", "kvm", "tcg"], default="auto",
        help="auto uses KVM where it truly works (default: %(default)s)")
    add("--cpu", default="max", metavar="MODEL", help=f"QEMU's CPU model (default: %(default)s; {boot.CPU} on Xen and for another --kernel)")
    add("--suite", default="default", metavar="CHOICE[,CHOICE]",
        help="what to run: names, patterns (m*), tags (unit, stress, bench, stepping), all, default; !CHOICE leaves it out; "
             "`./pteron list` names them (default: %(default)s)")
    add("--case", type=_cases, metavar="NAME[,NAME]", help="of the suites, run only the cases of these names")
    add("--seed", type=number(0, (1 << 63) - 1), default=1, metavar="N",
        help="of all randomness (default: %(default)s)")
    add("--shuffle", action="store_true", help="run the suites in an order that the seed chooses")
    add("--rounds", type=number(1, 1 << 32), metavar="N",
        help="rounds of each stress thread (default: each suite's own)")
    add("--lazy", choices=["on", "off"], default="on",
        help="off: every update takes effect at once (default: %(default)s)")
    add("--tables", choices=["on", "off"], default="on",
        help="off: never change a whole page table at once (default: %(default)s)")
    add("--xen", default="", metavar="VERSION|FILE",
        help="on xen and xl: another Xen of Debian's (`./pteron list xens`), or one's own build, xen or xen.gz")
    add("--xen-append", default="", metavar='"WORDS"', help="more words for Xen's command line; the last of a kind counts")
    add("--qemu", default=QEMU, metavar="VERSION|FILE", help="another emulator: Debian's (`./pteron list qemus`), or a program (default: %(default)s)")
    add("--qemu-arg", dest="qemu_args", action="append", default=[], metavar="ARG",
        help="one more argument for QEMU, as in --qemu-arg=-d --qemu-arg=int; may be repeated")
    add("--append", default="", metavar='"WORDS"', help="more words for the kernel's command line")
    add("--initrd", metavar="FILE",
        help="a cpio archive (newc), or one static ELF program, that holds the PROGRAM to run; default: the one built")
    add("--patience", type=number(1, 1 << 20), default=PATIENCE, metavar="SECONDS",
        help="without a line of output until a run counts as hung (default: %(default)s)")
    add("--timeout", type=number(1, 1 << 20), metavar="SECONDS",
        help="for all of a run, however much it says; then it is told what it was at, and ended (default: none)")
    add("--release", action="store_true", help="a build without assertions")
    add("--bug", type=bug, metavar="NAME",
        help="break the kernel in one place; `./pteron list` names the seeded bugs")
    add("--deterministic", action="store_true",
        help="instructions are the clock: the same image and seed give the same output, byte for byte")
    add("--icount", type=number(0, 10), metavar="SHIFT",
        help="the clock counts instructions, 2^SHIFT ns each; implies TCG, one CPU at a time")
    add("--kernel", default=kernels.PTERON, metavar="KERNEL",
        help="instead of Pteron, judge a Linux by the ring-3 suites: linux (this machine's Debian), linux-VERSION "
             "(`./pteron list kernels`), or a FILE, bzImage or vmlinux; deterministic but for --parallel")
    add("--kernel-append", default="", metavar='"WORDS"', help="more words for that kernel's command line")
    add("--parallel", action="store_true", help="with --kernel: each virtual CPU in a thread of its own")
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
    """Nothing is asked for that would be ignored: Xen boots in one way."""
    if args.cpus > MAX_XEN_CPUS:
        raise UsageError(f"--cpus {args.cpus}: on Xen 1 to {MAX_XEN_CPUS}")
    for option, value, only in (("boot", args.boot, ["pvh"]), ("accel", args.accel, ["auto", "tcg"])):
        if value not in only:
            raise UsageError(f"--{option} {value} does not go with --on {args.on}: Xen is always loaded by QEMU itself, under TCG")


def platform(args: argparse.Namespace, say) -> dict:
    """Of the configuration, the emulator and the hypervisor, fetched if need be. What is for Xen is asked for on Xen only."""
    for option, value in (("xen", args.xen), ("xen-append", args.xen_append)):
        if value and args.on == "qemu":
            raise UsageError(f"--{option} {value} goes with --on xen and --on xl only")
    return {"xen": xens.get(args.xen, say) if args.on != "qemu" else None, "xen_append": args.xen_append,
            "qemu": qemus.get(args.qemu, say), "qemu_args": tuple(args.qemu_args)}


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


def configuration(args: argparse.Namespace, say=print) -> Config:
    if args.kernel != kernels.PTERON:
        from .judge import options as judged  # pylint: disable=import-outside-toplevel  # it needs this module
        return judged.configuration(args, say)
    if args.parallel or args.kernel_append:
        raise UsageError("--parallel and --kernel-append go with another --kernel")
    args.suite = suites_of(args.suite)
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
        cpus=args.cpus, mem=args.mem or MEMORY, boot=args.boot, cpu=args.cpu, suite=args.suite, case=args.case or "", seed=args.seed,
        rounds=args.rounds, lazy=args.lazy, tables=args.tables, shuffle=args.shuffle,
        append=args.append, icount=args.icount, **platform(args, say),
        initrd=args.initrd, program=args.program, patience=args.patience, timeout=args.timeout)
    if len(config.cmdline()) > config.cmdline_max:
        raise UsageError(f"the kernel's command line is too long: {len(config.cmdline())} characters; on "
                         f"{config.on} there is room for {config.cmdline_max}:\n{config.cmdline()}")
    say(f"pteron: building {config.build.directory.relative_to(catalogue.ROOT)}")
    config.build.make()
    config.accel = choose_accel(config, args.accel, say)
    return config


