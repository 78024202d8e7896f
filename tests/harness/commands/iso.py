"""./pteron iso: an image that a PC boots, and its boot in QEMU, where the screen is a PC's as well."""

import argparse
import shlex
from pathlib import Path

from .. import catalogue
from ..build import Build, make_iso
from ..machine import Config
from ..options import UsageError
from ..report import Printer, summary
from ..report_file import callers_path
from ..runner import Result, run
from ..terminal import Terminal
from ..why import why
from . import Command, to_stderr

_LABELS = ("backend", "suite", "case", "lazy", "tables")  # of a run, by the kernel's words of the same names


def command_iso(args: argparse.Namespace) -> int:
    """Leave one hybrid GRUB image, for BIOS and UEFI, that runs the default suites; --run boots it."""
    if args.boot and not args.run:
        raise UsageError("iso --boot: the image boots on BIOS and on UEFI; --boot chooses one for --run")
    build = Build(debug=not args.release)
    to_stderr(f"pteron: building {build.directory.relative_to(catalogue.ROOT)}")
    build.make()
    target = callers_path(args.output) if args.output else catalogue.ROOT / "build/pteron.iso"
    target.parent.mkdir(parents=True, exist_ok=True)
    make_iso(build, target, args.append)
    print(target)
    if not args.run:
        to_stderr("pteron: all output goes to the first serial port (COM1, 115200 baud, 8N1); "
                  "on BIOS the screen has the suites and the verdict; --run boots the image in QEMU")
        return 0
    result = _boot(build, target, args)
    if result.exit_code:
        print("\n".join(["", *why(result.verdict, result.output), f"again: {_again(args)}"]))
    return result.exit_code


def _boot(build: Build, image: Path, args: argparse.Namespace) -> Result:
    """To its verdict, as any run."""
    words = dict(word.split("=", 1) for word in args.append.split() if "=" in word)
    config = Config(build=build, boot=args.boot or "bios", iso=image, qemu_args=("-vga", "std"),
                    seed=int(seed) if (seed := words.get("seed", "")).isdigit() else 1, **{name: words[name] for name in _LABELS if name in words})
    terminal = Terminal()
    printer = Printer(terminal=terminal)
    result = run(config, printer.line, on_quiet=printer.quiet)
    printer.close()
    terminal.print("\n" + summary(result))
    return result


def _again(args: argparse.Namespace) -> str:
    words = ["./pteron", "iso", "--run"]
    for option in ("boot", "append", "output"):
        if value := getattr(args, option):
            words += [f"--{option}", value]
    return shlex.join(words + ["--release"] * args.release)


def add_iso(command: Command) -> None:
    p = command("iso", command_iso)
    p.add_argument("--output", metavar="FILE", help="where to leave it (default: build/pteron.iso)")
    p.add_argument("--append", default="", metavar='"WORDS"', help="the kernel's command line, as in 'suite=vma,zap seed=3'")
    p.add_argument("--release", action="store_true", help="a build without assertions")
    p.add_argument("--run", action="store_true", help="boot it in QEMU with a VGA card, and judge it as any run")
    p.add_argument("--boot", choices=["bios", "uefi"], help="with --run: the firmware (default: bios)")
