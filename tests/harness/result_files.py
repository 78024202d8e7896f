"""The files that ./pteron run leaves of its result, or of those of many runs: JSON, JUnit XML, a page of HTML."""

import argparse
import json

from .html_page import as_html
from .junit import as_junit
from .options import UsageError
from .report_file import STDOUT, report_file
from .runner import SCHEMA, Result

_HELP = {"json": "write the result as one JSON object", "junit": "write the result as JUnit XML",
         "html": "write the result as one page of HTML, which needs nothing beside it"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """--json, --junit and --html."""
    for name, text in _HELP.items():
        parser.add_argument(f"--{name}", metavar="FILE",
                            help=text + ("; - is standard output, all else then goes to standard error" if name == "json" else "; or -"))


def _data(results: list[Result], several: bool, interrupted: bool) -> dict:
    """What --json writes."""
    if not several:
        return results[0].as_json()
    return {"schema": SCHEMA, "interrupted": interrupted, "runs": [r.as_json() for r in results]}


class ResultFiles:
    """Those that @args name: tried at once, written at the end."""

    def __init__(self, args: argparse.Namespace):
        if len(to_stdout := [name for name in _HELP if getattr(args, name) == STDOUT]) > 1:
            raise UsageError(f"{' and '.join(f'--{name} -' for name in to_stdout)}: there is one standard output")
        self.files = {name: report_file(f"--{name}", getattr(args, name)) for name in _HELP}

    def write(self, results: list[Result], several: bool = False, interrupted: bool = False) -> None:
        """Of @several runs as many as there were, of one run that one."""
        data = _data(results, several, interrupted)
        for name, write in (("json", lambda: json.dumps(data, indent=2) + "\n"), ("junit", lambda: as_junit(results)),
                            ("html", lambda: as_html(data))):
            if self.files[name]:
                self.files[name].write(write())
