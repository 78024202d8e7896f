"""./pteron replay: finding the command that repeats a run."""

import html
import json
import re
import shlex
from pathlib import Path

from .ktap import LINE_MARK, PART_MARK

_FRONT_DOORS = re.compile(r"^replay: \./pteron (run .*\S)$", re.M)
_LINE = re.compile(r'\./pteron (run [^"\n]*[^"\s])')
# Where every failure goes through: panics, failed cases of the suites in the kernel, and what a program
# in ring 3 says of a page. Hardware breakpoints, because the image is not in memory yet.
GDB_COMMANDS = [*(f"hbreak {where}" for where in ("vpanic", "ktest_fail", "__x64_sys_page_history")), "continue"]


class NoReplay(Exception):
    """What was given holds no replay line, or several; the text says so."""


def _text_of(text: str) -> str:
    """Of a log, itself; of what --json, --junit or --html has written, its replay line: of several runs, that of the
    first that did not pass, or of the first of all."""
    if text.startswith(("<?xml", "<!DOCTYPE")):
        found = re.search(r'<(?:property name="replay" value|meta name="replay" content)="([^"]*)"', text)
        return f"replay: {html.unescape(found[1])}" if found else ""
    try:
        data = json.loads(text)
        runs = data.get("runs", [data])
        return f"replay: {next((run for run in runs if run['verdict'] != 'passed'), runs[0])['replay']}"
    except (ValueError, LookupError, TypeError, AttributeError):
        return text


def find(text: str, path: Path) -> str:
    """The replay line in @text or, if @path is a file, in that file, as `./pteron run ...`. The front door says
    it last, when no program can say anything more; else there must be just one, that no program printed."""
    where = "the text"
    if path.is_file():
        text, where = _text_of(path.read_text(encoding="utf-8", errors="replace")), str(path)
    if last := _FRONT_DOORS.findall(text):
        return f"./pteron {last[-1]}"
    text = "\n".join(line for line in text.split("\n") if not line.startswith((LINE_MARK, PART_MARK)))
    lines = list(dict.fromkeys(m[1] for m in _LINE.finditer(text)))
    if not lines:
        raise NoReplay(f"{where} holds no replay line: one says ./pteron run and the options of the run")
    if len(lines) > 1:
        shown = "\n".join(f"  ./pteron {line}" for line in lines[:10])
        raise NoReplay(f"{where} holds {len(lines)} different replay lines; give one of them, quoted:\n{shown}")
    return f"./pteron {lines[0]}"


def arguments(line: str) -> list[str]:
    """Of the front door, without its own name."""
    return shlex.split(line)[1:]
