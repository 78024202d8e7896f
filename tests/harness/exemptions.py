"""Functions that clang's thread-safety analysis leaves alone (__no_thread_safety): each says why, after "Not analysed:", in the
comment right above it, or of all in a file in its first comment. `make check` runs this module."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("kernel", "mm", "pv", "drivers", "boot", "tests")
MACRO = "__no_thread_safety"
_DEFINITION = re.compile(r"^(?:[a-z_][^\n;{}]*?[ *])?(\w+)\((?:[^(){};]|\([^()]*\))*\)[^{};]*?(\s*\b" + MACRO + r"\b)", re.M)
_SAYS = "Not analysed:"


def exemptions(text: str) -> Iterator[tuple[str, int, bool, str]]:
    """Of the source @text: name and line of each function that is exempt, whether it says why, and the text without that."""
    first = text[:text.find("*/")] if text.startswith("/*") else ""
    for m in _DEFINITION.finditer(text):
        before = text[:m.start()]
        above = before[before.rindex("/*"):] if before.endswith("*/\n") else ""
        says = _SAYS in re.sub(r"\s*\n \* ?", " ", above + first)
        yield m[1], before.count("\n") + 1, says, text[:m.start(2)] + text[m.end(2):]


def sources(root: Path) -> Iterator[str]:
    for folder in FOLDERS:
        for path in sorted([*(root / folder).rglob("*.c"), *(root / folder).rglob("*.h")]):
            name = path.relative_to(root).as_posix()
            if name != "kernel/sync/thread_safety.h":
                yield name


def unexplained(root: Path) -> tuple[int, list[str]]:
    """How many there are, and a line for each that does not say why."""
    n, wrong = 0, []
    for name in sources(root):
        text = (root / name).read_text(encoding="utf-8")
        found = list(exemptions(text))
        n += len(found)
        if len(found) != len(re.findall(rf"\b{MACRO}\b", text)):
            wrong.append(f"{name}: {MACRO} stands where no function is defined")
        wrong += [f"{name}:{line}: {function}() does not say why it is exempt: {_SAYS} ..." for function, line, says, _ in found if not says]
    return n, wrong


def unneeded(root: Path, analyse) -> list[str]:
    """Of the tree @root, which is changed and changed back: the functions outside of tests/ that @analyse, given a source, finds
    nothing wrong with when they are analysed."""
    idle = []
    for name in sources(root):
        if name.startswith("tests/"):
            continue
        text = (root / name).read_text(encoding="utf-8")
        for function, line, _, without in exemptions(text):
            (root / name).write_text(without, encoding="utf-8")
            if analyse(name):
                idle.append(f"{name}:{line}: {function}() need not be exempt")
        (root / name).write_text(text, encoding="utf-8")
    return idle


def main() -> int:
    n, wrong = unexplained(Path(__file__).resolve().parents[2])
    print("\n".join(wrong) if wrong else f"exemptions: {n} from the thread-safety analysis, each with its reason")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
