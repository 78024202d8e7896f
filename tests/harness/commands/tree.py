"""The commands about the tree and what is made of it: test, list, new and clean."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from .. import catalogue, scaffold
from ..judge import kernels, qemus, xens
from ..options import EPILOG, number
from ..runner import TROUBLE
from ..terminal import Terminal
from . import MAX_JOBS, Command

JOB_MEMORY = 3 << 30  # what a test may need: the search of a model, 2 GB, or a guest and its QEMU


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


def add_test(command: Command) -> None:
    p = command("test", command_test)
    p.add_argument("--jobs", type=number(1, MAX_JOBS), default=_default_jobs(), metavar="N",
                   help="so many tests side by side (default: one for each core that has 3 GiB of memory: %(default)s)")
    p.add_argument("--long", action="store_true",
                   help="also what differs little from the rest: more of the matrix of boots, all of stress on 8 vCPUs of Xen")
    p.add_argument("--xen-debug", action="store_true",
                   help="instead: compare with the counters of a debug Xen, built from source first")
    p.epilog = "what is not known here goes to pytest, such as -k EXPRESSION; " + EPILOG


LISTS = {"kernels": kernels, "xens": xens, "qemus": qemus}


def command_list(args: argparse.Namespace) -> int:
    """Suites, backends and boot paths, a line each; or the kernels that --kernel can have, the Xens that --xen can, the QEMUs that --qemu can."""
    if args.what:
        for line in LISTS[args.what].table():
            print(line, flush=True)
        return 0
    if args.json:
        print(json.dumps(catalogue.as_json(), indent=2))
        return 0
    terminal = Terminal()
    for suite in catalogue.suites():
        mark = f" [{' '.join(suite.tags)}]" + ("" if suite.default else " (not in the default run)")
        terminal.print(f"suite    {suite.name:<12} {suite.what}{mark}")
    for bug in catalogue.bugs():
        terminal.print(f"bug      {bug.name:<20} {bug.provenance} ({' '.join(bug.backends)}: {bug.suites})")
    for kind, table in (("backend", catalogue.BACKENDS), ("boot", catalogue.BOOT_PATHS),
                        ("on", catalogue.MACHINES)):
        for name, what in table.items():
            terminal.print(f"{kind:<8} {name:<12} {what}")
    return 0


def add_list(command: Command) -> None:
    p = command("list", command_list)
    p.add_argument("what", nargs="?", choices=list(LISTS), help="instead Debian's kernels, Xens or QEMUs, by version and suite, and which were fetched")
    p.add_argument("--json", action="store_true", help="as one JSON object")


def command_new(args: argparse.Namespace) -> int:
    """Write the start of a suite, which builds, runs and fails until it is filled in."""
    path = scaffold.new_suite(args.name, args.room)
    print(f"{path.relative_to(catalogue.ROOT)}: fill it in; ./pteron run --suite {args.name} runs it, and fails until then")
    return 0


def add_new(command: Command) -> None:
    p = command("new", command_new)
    p.add_argument("kind", choices=["suite"], help="what to write")
    p.add_argument("name", metavar="NAME", help="of the suite")
    p.add_argument("--room", choices=scaffold.rooms(), required=True, metavar="ROOM",
                   help="the room of tests/rooms.txt that it tests, such as mm/range")


def _cannot_remove(path: str, error: Exception) -> Exception:
    """With its whole path, and whose it is: that user can."""
    if not isinstance(error, PermissionError):
        return error
    folder = Path(path).parent
    try:
        owner = folder.owner()
    except KeyError:
        owner = f"user {folder.stat().st_uid}"
    return PermissionError(error.errno, f"{error.strerror}; its folder belongs to {owner}, who can ./pteron clean",
                           os.path.relpath(path, catalogue.ROOT))


def command_clean(_: argparse.Namespace) -> int:
    """Remove everything that was built."""
    build = catalogue.ROOT / "build"
    failures: list[tuple[str, Exception]] = []  # the first comes of what lies deepest; Python 3.13 goes on after each
    if build.exists():
        shutil.rmtree(build, onerror=lambda _, path, failure: failures.append((path, failure[1])))
    if failures:
        raise _cannot_remove(*failures[0])
    return 0


def add_clean(command: Command) -> None:
    command("clean", command_clean)
