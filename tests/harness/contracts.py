"""Each function that a header of kernel/, mm/, pv/ or drivers/ declares has a contract: a comment right above the declaration, or on
its line. What is in it a reader must judge; that it is there `make check` knows, which runs this module.

A comment that begins with "Each" stands for all declarations up to the next blank line. The name of a source file is a heading and
no contract."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("kernel", "mm", "pv", "drivers")
_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)
_PARENTHESES = r"\((?:[^;{}()]|\((?:[^;{}()]|\([^;{}()]*\))*\))*\)"
_PROTOTYPE = re.compile(r"^(?!static\b|typedef\b|return\b|else\b)(?:[\w*]+[ \t*]+)+\**(\w+)" + _PARENTHESES +
                        r"(?:\s*\w+(?:" + _PARENTHESES + r")?)*;", re.M)
_HEADING = re.compile(r"/\*\s*[\w/]+\.c\b")
_EACH = re.compile(r"/\*\s*(?:\*\s*)?Each\b")


def _blank(m: re.Match) -> str:
    return re.sub(r"[^\n]", " ", m[0])


def _above(text: str, end: int) -> str:
    """The comment that ends right above the line which begins at @end, or an empty text."""
    before = text[:end].rstrip(" \t")
    return before[before.rindex("/*"):] if before.endswith("*/\n") else ""


def _is_said_of_each(text: str, start: int) -> bool:
    """The block without blank lines that @start is in begins with a comment that speaks of each."""
    top = max(text.rfind("\n\n", 0, start), 0)
    comments = [m[0] for m in _COMMENT.finditer(text, top, start)]
    return bool(comments) and bool(_EACH.match(comments[-1]))


def prototypes(text: str) -> Iterator[tuple[str, int, bool]]:
    """Of the header @text: name, line, and whether it has a contract."""
    plain = _DIRECTIVE.sub(_blank, _COMMENT.sub(_blank, text))
    for m in _PROTOTYPE.finditer(plain):
        above, behind = _above(text, m.start()), text[m.start():m.end()] + text[m.end():].partition("\n")[0]
        has = above and not _HEADING.match(above) or "/*" in behind or _is_said_of_each(text, m.start())
        yield m[1], text.count("\n", 0, m.start()) + 1, bool(has)


def missing(root: Path) -> tuple[int, list[str]]:
    """How many declarations there are, and a line for each without a contract."""
    n, without = 0, []
    for path in sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.h")):
        for name, line, has in prototypes(path.read_text(encoding="utf-8")):
            n += 1
            if not has:
                without.append(f"{path.relative_to(root)}:{line}: {name}() has no contract: arguments, units, what must be held, errors")
    return n, without


def main() -> int:
    n, without = missing(Path(__file__).resolve().parents[2])
    print("\n".join(without) if without else f"contracts: {n} declarations")
    return 1 if without else 0


if __name__ == "__main__":
    sys.exit(main())
