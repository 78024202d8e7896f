"""`./pteron new`: a suite that builds, runs and fails until somebody fills it in."""

import re
from pathlib import Path

from . import catalogue
from .rooms import Rooms

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
LONGEST = 20
_TAKEN = ("default", "all", "nothing")
# tests/unit/lib holds what suites share, and what is pure is tested on the host; tests/ itself is no code under test.
_NO_SUITES = ("kernel/lib", "tests")

_SUITE = """/*
 * Suite `{name}`: what of {room} it tests, in a line.
 *
 * Oracle: what must hold, and how the suite knows it without asking the code under test.
 */
#include "tests/ktest.h"

static void {ident}_is_filled_in(struct ktest *t)
{{
	ktest_fail(t, __FILE__, __LINE__, "the suite is not filled in");
}}

static const struct ktest_case cases[] = {{
	{{"{ident}_is_filled_in", {ident}_is_filled_in}},
}};
KTEST_SUITE({ident}_suite, "{name}", "not filled in", true, cases);
"""


class ScaffoldError(Exception):
    """What was asked for cannot be made; the text says why."""


def rooms(root: Path = catalogue.ROOT) -> list[str]:
    """Those that can have a suite, as tests/rooms.txt names them."""
    order = Rooms((root / "tests/rooms.txt").read_text(encoding="utf-8")).order
    return [room for room in order if room not in _NO_SUITES]


def new_suite(name: str, room: str, root: Path = catalogue.ROOT) -> Path:
    """Write the suite @name about @room; the file, below @root. ScaffoldError, and nothing is written, for a name that is
    no name or has been given already."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST:
        raise ScaffoldError(f"{name!r} is no name of a suite: small letters, digits, and single dashes or underscores between "
                            f"them, a letter first, {LONGEST} characters at most")
    if name in _TAKEN or name in (suite.name for suite in catalogue.suites(root)):
        raise ScaffoldError(f"there is a suite {name!r} already")
    ident = name.replace("-", "_")
    path = root / "tests/unit" / room.rpartition("/")[2] / f"{ident}.c"
    path.parent.mkdir(exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_SUITE.format(name=name, ident=ident, room=room))
    except FileExistsError as error:
        raise ScaffoldError(f"there is a file {path.relative_to(root)} already") from error
    return path
