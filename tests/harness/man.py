"""The text that `make man` gives to help2man: ./pteron's own --help, and that of each command behind it."""

import argparse
import os
import sys

from . import catalogue, cli

_WIDE = "1000"  # columns: help2man fills the lines itself


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Each command and its own parser."""
    return next(action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))


def _own_words(parser: argparse.ArgumentParser) -> str:
    """A parser's help without the usage, which repeats the options, and without what all have."""
    parser.epilog = (parser.epilog or "").removesuffix(cli.EPILOG).removesuffix("; ") or None
    paragraphs = parser.format_help().split("\n\n")[1:]
    lines = [line for line in "\n\n".join(paragraphs).splitlines() if not line.startswith("  -h, --help ")]
    return "\n".join(line for line in lines if line not in ("options:", "positional arguments:"))


def text() -> str:
    """Main help, then a section for each command: for help2man, a line that ends with a colon before one that is indented."""
    os.environ["COLUMNS"] = _WIDE
    parser = cli._parser()
    sections = [f"./pteron {name}:\n  {_own_words(command)}\n" for name, command in commands(parser).items()]
    epilog, parser.epilog = parser.epilog, None
    return (parser.format_help().replace("usage:", "Usage:") + "\n" + "\n".join(sections) + "\nexit status:\n  " +
            epilog.replace("exit status: ", "") + "\n")


if __name__ == "__main__":
    print(f"pteron {catalogue.version()}" if "--version" in sys.argv else text())
