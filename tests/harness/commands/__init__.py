"""The commands of ./pteron by families, and what they share.

Each command is a function command_NAME, whose docstring is its help, and add_NAME, which gives it its options."""

import argparse
from collections.abc import Callable
from pathlib import Path

from .. import catalogue
from ..terminal import to_stderr

Command = Callable[[str, Callable[[argparse.Namespace], int]], argparse.ArgumentParser]  # makes a command's parser
MAX_JOBS = 64


def recorded(path: Path) -> None:
    to_stderr(f"pteron: recorded in {path.relative_to(catalogue.ROOT)}; make docs makes the documents' tables of it")


def record_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--record", action="store_true",
                        help="keep the figures in docs/figures, of which make docs makes the tables of the documents")
