"""The commands of ./pteron by families, and what they share.

Each command is a function command_NAME, whose docstring is its help, and add_NAME, which gives it its options."""

import argparse
from collections.abc import Callable
from pathlib import Path

from .. import catalogue
from ..judge.engine import HERE, SSH, Place
from ..options import number
from ..terminal import to_stderr

Command = Callable[[str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]  # makes a command's parser
MAX_JOBS = 64


def recorded(path: Path) -> None:
    to_stderr(f"pteron: recorded in {path.relative_to(catalogue.ROOT)}; make docs makes the documents' tables of it")


def record_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--record", action="store_true",
                        help="keep the figures in docs/figures, of which make docs makes the tables of the documents")


def comma_list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))


def place_options(parser: argparse.ArgumentParser, what: str, jobs: int = 1) -> None:
    """--jobs and --hosts, with what belongs to them; @what: of which there are many, side by side."""
    add = parser.add_argument
    add("--jobs", type=number(1, MAX_JOBS), default=jobs, metavar="N", help=f"so many {what} side by side, on each host (default: %(default)s)")
    add("--hosts", type=comma_list, default=(), metavar="HOST[,HOST]",
        help=f"where ssh asks for no password and there is a checkout of this commit; {HERE} is this machine")
    add("--host-folder", default="", metavar="FOLDER", help="of the checkout on the hosts (default: this one's)")
    add("--ssh", default=SSH, metavar="COMMAND", help="how to reach them, as in 'ssh -i KEY' (default: %(default)s)")


def place_of(args: argparse.Namespace) -> Place:
    """What these options mean."""
    return Place(args.jobs, args.hosts, args.host_folder, args.ssh)
