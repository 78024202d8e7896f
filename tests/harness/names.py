"""Names of one file: no two files of the kernel define a static function or variable of the same name, nor one
that another file defines for all. So a backtrace, a breakpoint and a search each mean one place.

`make check` runs this module. It reads what clang-format leaves: a definition begins in the first column."""

import re
import sys
from collections import defaultdict
from pathlib import Path

FOLDERS = ("kernel", "mm", "pv", "drivers", "boot")
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.M)
_ATTRIBUTE = re.compile(r"__(?:attribute__|aligned|section|printf|guarded_by)[ \t]*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")
# What a definition begins with, up to what ends its first declarator: a parameter list, a size, a value, or the end.
_HEAD = re.compile(r"^(?P<head>[A-Za-z_][\w \t*]*?(?:\n[\w \t*]*?)?)(?P<end>[(\[=;,:])", re.M)
# A macro that defines what its first argument names (KMEM_CACHE), or behind a type its second (DEFINE_PER_CPU).
_BY_MACRO = re.compile(r"^static (?:\w+ )*(?:DEFINE_PER_CPU\w*\([^,\n]*,\s*|[A-Z][A-Z0-9_]+\()(?P<name>[a-z_]\w*)[,)\[]", re.M)
# The variable behind the body of its struct, and a pointer to a function.
_BEHIND_BODY = re.compile(r"^static (?:const )?(?:struct|union|enum)\b[^;{=(]*\{.*?^\}\s*(?P<name>[a-z_]\w*)", re.M | re.S)
_POINTER = re.compile(r"^static [^;{=()\n]*\(\*(?:const )?(?P<name>\w+)", re.M)
_BEHIND_PARAMETERS = re.compile(r"[^{;]*[{;]")
_NO_DEFINITION = ("typedef", "extern", "static_assert", "return", "else")


def _blank(match: re.Match[str]) -> str:
    return "\n" * match.group().count("\n")


def _has_body(text: str, at: int) -> bool:
    """Whether a body follows the parameter list that begins at @at, and not a `;`."""
    match = _BEHIND_PARAMETERS.match(text, at)
    return match is not None and match.group().endswith("{")


def definitions(source: str) -> dict[str, tuple[int, bool]]:
    """What the C text @source defines in file scope: its name, its line, and whether it is static."""
    text = _ATTRIBUTE.sub("", _DIRECTIVE.sub(_blank, _COMMENT.sub(_blank, source)))
    found: dict[str, tuple[int, bool]] = {}

    def note(name: str, at: int, is_static: bool) -> None:
        found.setdefault(name, (text.count("\n", 0, at) + 1, is_static))

    for match in _HEAD.finditer(text):
        words = match["head"].replace("*", " ").split()
        if len(words) < 2 or words[0] in _NO_DEFINITION or words[-1].isupper():
            continue
        if match["end"] != "(" or _has_body(text, match.end()):
            note(words[-1], match.start(), words[0] == "static")
            if match["end"] == ",":
                note(text[match.end():].split(None, 1)[0].strip("*,;"), match.start(), words[0] == "static")
    for pattern in (_BY_MACRO, _BEHIND_BODY, _POINTER):
        for match in pattern.finditer(text):
            note(match["name"], match.start(), True)
    return found


def check(root: Path) -> list[str]:
    """A line for each name that stands for two things, of which one is a source's own, or both a header's. A
    header's may stand for what a source defines in another configuration."""
    places: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.[ch]")):
            for name, (line, is_static) in definitions(path.read_text(encoding="utf-8")).items():
                places[name].append((f"{path.relative_to(root)}:{line}", is_static))
    return [f"{name}: {', '.join(where for where, _ in found)}" for name, found in sorted(places.items())
            if len(found) > 1 and (sum(is_static for _, is_static in found) > 1
                                   or any(is_static and ".c:" in where for where, is_static in found))]


def main() -> int:
    wrong = check(Path(__file__).resolve().parents[2])
    print("\n".join(["one name, two things:", *wrong]) if wrong else "names: each static one stands once")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
