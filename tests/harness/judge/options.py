"""The options of a judged run: what of ./pteron run's options it takes, and the configuration that they make."""

import argparse
from collections.abc import Callable, Iterable

from ..build import Build
from ..machine import Config, Linux
from ..options import MAX_XEN_CPUS, UsageError, chosen, platform
from . import boot, kernels, suites, versions

# Options that are about Pteron's own kernel, and what they are when nobody has given them.
_PTERONS = {"backend": None, "boot": "pvh", "case": None, "shuffle": False, "lazy": "on", "tables": "on", "append": "",
            "initrd": None, "release": False, "bug": None, "cc": "gcc", "program": ()}
FIRST_WITH_TURNS = "6.5"


def _check(args: argparse.Namespace) -> None:
    """Nothing is asked for that would be ignored."""
    for option, plain in _PTERONS.items():
        if getattr(args, option) != plain:
            name = "-- PROGRAM" if option == "program" else f"--{option.replace('_', '-')}"
            raise UsageError(f"{name} does not go with --kernel {args.kernel}: it is of Pteron's own kernel")
    if "gdb_commands" in args:
        raise UsageError(f"gdb does not go with --kernel {args.kernel}: it knows Pteron's own kernel")
    if args.accel == "kvm":
        raise UsageError(f"--accel kvm does not go with --kernel {args.kernel}: a run that repeats itself needs TCG")
    if args.parallel and (args.deterministic or args.icount is not None):
        raise UsageError("--parallel does not go with --deterministic and --icount: they say the opposite")
    if args.cpus > MAX_XEN_CPUS:
        raise UsageError(f"--cpus {args.cpus}: with --kernel 1 to {MAX_XEN_CPUS}")


def suites_of(text: str) -> list[str]:
    """What --suite names, in the order in which they run."""
    known = suites.all_suites()
    names = chosen(text, list(known.values()), suites.TAGS)
    return [name for name in known if name in names]


def _check_turns(kernel: kernels.Kernel, cpus: int) -> None:
    """An older kernel's first CPU waits for the second by schedule(), without a pause; under -icount QEMU 7.2 then never
    gives the second its turn."""
    if cpus > 1 and versions.compare(kernel.release, FIRST_WITH_TURNS) < 0:
        raise UsageError(f"{kernel.name} on qemu does not start a second CPU in a deterministic run, as no Linux before "
                         f"{FIRST_WITH_TURNS} does: use --cpus 1, --parallel or --on xen")


def job(kernel: kernels.Kernel, on: str, names: Iterable[str], seed: int, *, append: str = "", **more) -> Config:
    """One run: a kernel, a platform, suites, a seed. @more: fields of Config."""
    kernels.check(kernel, on)
    fields = {"mem": boot.MEMORY, "icount": boot.ICOUNT, "cpus": 2, **more}
    if on == "qemu" and fields["icount"] is not None:
        _check_turns(kernel, fields["cpus"])
    return Config(build=Build(), on=on, backend="native" if on == "qemu" else "xen", kernel=kernel.name, kernel_append=append,
                  suite=",".join(names), seed=seed, linux=Linux(kernel.image, boot.words(on, append)), **fields)


def configuration(args: argparse.Namespace, say: Callable[[str], None]) -> Config:
    """Of the arguments; the kernel is fetched, the programs are built."""
    _check(args)
    names = suites_of(args.suite)
    kernel = kernels.get(args.kernel, say)
    say(f"pteron: {kernel.name} is Linux {kernel.release}" + (f", Debian's {kernel.version} of {kernel.suite}" if kernel.version else ""))
    icount = None if args.parallel else boot.ICOUNT if args.icount is None else args.icount
    config = job(kernel, args.on, names, args.seed, append=args.kernel_append, cpus=args.cpus, mem=args.mem or boot.MEMORY,
                 cpu=args.cpu, rounds=args.rounds, icount=icount, patience=args.patience, timeout=args.timeout,
                 **platform(args, say))
    boot.make_programs(config.build)
    return config
