"""The commands of ./pteron."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from . import catalogue
from .build import Build, BuildError, make_iso
from .kvm import choose_accel
from .machine import Config, drop_scratch, make_scratch, qemu_command
from .report import Printer, advice, summary
from .runner import run

MIN_MEM, MAX_MEM = 48, 1 << 20
MAX_TCG_CPUS, MAX_CPUS = 64, 255

EPILOG = """exit status: 0 passed, 1 a test failed, 2 usage, 3 the kernel crashed, hung or gave no verdict"""


def _number(low: int, high: int):
    def parse(text: str) -> int:
        value = int(text, 0)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text} is not between {low} and {high}")
        return value
    parse.__name__ = f"number from {low} to {high}"
    return parse


def _suites(text: str) -> str:
    known = [s.name for s in catalogue.suites()] + ["default", "all"]
    for name in text.split(","):
        if name not in known:
            raise argparse.ArgumentTypeError(f"there is no suite {name!r}; there are: {', '.join(known)}")
    return text


def _run_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--on", choices=catalogue.MACHINES, default="qemu", help="where to boot (default: %(default)s)")
    add("--backend", choices=catalogue.BACKENDS, default="native",
        help="who changes the page tables (default: %(default)s)")
    add("--cpus", type=_number(1, MAX_CPUS), default=2, metavar="N",
        help="virtual CPUs, 1 to 64 under TCG (default: %(default)s)")
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
    add("--rounds", type=_number(1, 1 << 32), metavar="N",
        help="rounds of each stress thread (default: each suite's own)")
    add("--lazy", choices=["on", "off"], default="on",
        help="off: every update takes effect at once (default: %(default)s)")
    add("--append", default="", metavar='"WORDS"', help="more words for the kernel's command line")
    add("--release", action="store_true", help="a build without assertions")
    add("--cc", default="gcc", metavar="CC", help="the compiler (default: %(default)s)")


def _config(args: argparse.Namespace, say=print) -> Config:
    config = Config(
        build=Build(cc=args.cc, debug=not args.release), on=args.on, backend=args.backend,
        cpus=args.cpus, mem=args.mem, boot=args.boot, cpu=args.cpu, suite=args.suite, seed=args.seed,
        rounds=args.rounds, lazy=args.lazy, append=args.append)
    config.build.make()
    config.accel = choose_accel(config, args.accel, say)
    if config.accel == "tcg" and config.cpus > MAX_TCG_CPUS:
        print(f"pteron: --cpus {config.cpus}: TCG takes 1 to {MAX_TCG_CPUS}", file=sys.stderr)
        sys.exit(2)
    return config


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def command_run(args: argparse.Namespace) -> int:
    """Build, boot, run suites, print KTAP and a summary."""
    config = _config(args, _to_stderr)
    printer = Printer()
    result = run(config, printer.line)
    printer.close()
    print("\n" + summary(result))
    if result.verdict != "passed":
        print("\n" + advice(result))
    if args.json:
        Path(args.json).write_text(json.dumps(result.as_json(), indent=2) + "\n", encoding="utf-8")
    return result.exit_code


def command_list(_: argparse.Namespace) -> int:
    """Suites, backends and boot paths, a line each."""
    for suite in catalogue.suites():
        mark = "" if suite.default else " (not in the default run)"
        print(f"suite    {suite.name:<12} {suite.what}{mark}")
    for kind, table in (("backend", catalogue.BACKENDS), ("boot", catalogue.BOOT_PATHS),
                        ("on", catalogue.MACHINES)):
        for name, what in table.items():
            print(f"{kind:<8} {name:<12} {what}")
    return 0


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
            while not sock.exists() and qemu.poll() is None:
                pass
            try:
                done = subprocess.run(["gdb", "-q", *args.gdb_args, "-ex", f"target remote {sock}",
                                       "-ex", "hbreak kernel_entry", str(config.build.image)],
                                      check=False)
            finally:
                qemu.kill()
        return 0 if done.returncode == 0 else 3
    finally:
        drop_scratch(scratch)


def command_iso(args: argparse.Namespace) -> int:
    """Leave one hybrid GRUB image, for BIOS and UEFI."""
    build = Build(debug=not args.release)
    build.make()
    target = Path(args.output)
    target.parent.mkdir(parents=True, exist_ok=True)
    make_iso(build, target, args.append)
    print(target)
    return 0


def command_test(args: argparse.Namespace) -> int:
    """Everything that CI runs; JUnit XML is left in build/report/."""
    report = catalogue.ROOT / "build/report"
    report.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-c", "tests/pytest.ini",
         "tests/system", f"--junitxml={report}/junit.xml", *args.pytest_args],
        cwd=catalogue.ROOT, env={**os.environ, "PYTHONPATH": "tests"}, check=False).returncode and 1


def command_clean(_: argparse.Namespace) -> int:
    """Remove everything that was built."""
    shutil.rmtree(catalogue.ROOT / "build", ignore_errors=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="./pteron", epilog=EPILOG,
        description="Pteron: an SMP kernel that changes page tables in batches, and proves that "
                    "nothing stale was ever seen.")
    commands = parser.add_subparsers(title="commands", required=True)

    def command(name: str, function) -> argparse.ArgumentParser:
        p = commands.add_parser(name, help=function.__doc__, description=function.__doc__,
                                epilog=EPILOG)
        p.set_defaults(function=function)
        return p

    p = command("run", command_run)
    _run_options(p)
    p.add_argument("--json", metavar="FILE", help="write the result as one JSON object")
    p = command("test", command_test)
    p.add_argument("pytest_args", nargs=argparse.REMAINDER, metavar="...", help="arguments for pytest")
    command("list", command_list)
    p = command("gdb", command_gdb)
    _run_options(p)
    p.add_argument("--gdb-arg", dest="gdb_args", action="append", default=[], metavar="ARG",
                   help="an argument for gdb")
    p = command("iso", command_iso)
    p.add_argument("--output", default="build/pteron.iso", metavar="FILE")
    p.add_argument("--append", default="", metavar='"WORDS"', help="the kernel's command line")
    p.add_argument("--release", action="store_true", help="a build without assertions")
    command("clean", command_clean)
    return parser


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        return args.function(args)
    except BuildError as error:
        print(f"{error}\npteron: the build failed; see above", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("\npteron: interrupted", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
