"""./pteron operators: mutants of the core that no author chose, one small change each.

The sources are formatted by clang-format, so a scan for statements is enough, no C parser. What only
checks, reports, counts or records is left alone."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from .catalogue import ROOT

# What only says what happened, or checks, has no behaviour of its own to change.
_REPORTERS = {"kernel/debug/backtrace.c", "kernel/debug/counters.c", "kernel/debug/counters.h", "kernel/debug/ksyms.h",
              "kernel/debug/panic.c", "kernel/debug/printk.c", "kernel/debug/trace.c", "kernel/lib/format.c", "kernel/sync/lockdep.c",
              "mm/space/audit.c", "mm/space/audit_frames.c", "mm/table/owed.c", "mm/table/page_history.c", "pv/xen/console.c",
              "pv/xen/witness.c"}
_FOLDERS = ["mm", "kernel", "pv", "boot"]

_COMMENT_OR_TEXT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"', re.S)
_DIRECTIVE = re.compile(r"^#[^\n]*|\\$", re.M)
# No head is longer; without a bound a list of macro calls takes minutes.
_FUNCTION = re.compile(r"^(?P<indent>\t?)(?P<head>(?:\w[^;{}()]{0,120}?)?\b(?P<name>[\w#]+)\((?:(?!\n\n)[^;{}]){0,400}?\)(?:(?!\n\n)[^;{}]){0,120}?)[ \t\\]*\n"
                       r"(?P=indent)\{", re.M)
_REPORTS = re.compile(r"assert|audit|print|refused|batch_size")
_CONTROL = re.compile(r"(if|while|for|switch|(?:list_)?for_each_\w+) ?\(")
_LABELS = re.compile(r"\s*(?:(?:else|do)\s+)?(?:(?:case\s[^:?]+|default):\s*)*")
_ASIDE = re.compile(r"(?:ASSERT|BUG_ON|(?:static_)?assert\w*|lockdep_\w+|count(?:_\w+)?|trace(?:_\w+)?|per_cpu|printk|pr_\w+|panic\w*|"
                    r"refused|preempt_point)\(|struct \{|"
                    r"(?:return|break|continue|goto)\b|\w[\w# ]* \**\w+(?:\[.*\])?(?:;|,| =)")
# These write to what their first argument names, and read nothing that their twin writes.
_SETTERS = re.compile(r"(list_init|wait_queue_init|set_gate|mutex_init|rwsem_init)\(([^,]*)[,)].*;", re.S)
_CALL = re.compile(r"[\w#]+\(.*\);", re.S)
_ASSIGNMENT = re.compile(r"([\w.>\[\]-]+) \|?= (?:(?:min|max)\()?[^(]*;")
_VALUE = re.compile(r"(return |(?:bool )?[\w.>-]+ = )(.*);", re.S)
_BOUND = re.compile(r"(?<![\w*&])(?!(?:un)?likely\()[\w*&][\w.>\[\]&()-]* (?:(?P<order>[<>]=?) |"
                    r"[=!]= (?:\*?\w+ [+-] )?(?=\d|\w+_(?:CAPACITY|MAX)\b))[\w.>\[\]-]+")


@dataclass(frozen=True)
class Mutant:
    """One change of one file. The text is the source that it changes, not where that stands."""
    file: str
    function: str
    operator: str
    text: str
    nth: int  # among those of the same text
    start: int
    end: int
    new: str

    @property
    def identity(self) -> str:
        nth = f" #{self.nth}" if self.nth > 1 else ""
        return f"{self.file}:{self.function}: {self.operator}: {self.text}{nth}"

    def applied(self, source: str) -> str:
        return source[:self.start] + self.new + source[self.end:]


@dataclass(frozen=True)
class _Span:
    start: int
    end: int
    block: int = 0  # simple statements of one block; 0: the head of a control statement
    kind: str = ""


@dataclass(frozen=True)
class _Function:
    source: str
    text: str  # the source without what is no code
    spans: list[_Span]
    is_bool: bool


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _masked(source: str) -> str:
    """The same length, without what is no code of this build."""
    for pattern in (_COMMENT_OR_TEXT, _DIRECTIVE):
        source = pattern.sub(lambda m: _blank(m[0]), source)
    return source


def _closing(text: str, at: int) -> int:
    """Behind the bracket that closes the one at @at."""
    depth = 0
    for i in range(at, len(text)):
        depth += (text[i] in "([{") - (text[i] in ")]}")
        if not depth:
            return i + 1
    raise ValueError(f"no bracket closes {text[at:at + 40]!r}")


class _Scanner:
    """The statements of a function's body, in order."""

    def __init__(self, text: str):
        self.text = text
        self.spans: list[_Span] = []
        self.blocks = 0

    def block(self, at: int) -> int:
        end, at = _closing(self.text, at), at + 1
        self.blocks += 1
        number = self.blocks
        while self.text[at:end - 1].strip():
            at = self.statement(at, number)
        return end

    def statement(self, at: int, block: int) -> int:
        at = _LABELS.match(self.text, at).end()
        if self.text[at] == "{":
            return self.block(at)
        if m := _CONTROL.match(self.text, at):
            return self.control(m)
        end = at
        while self.text[end] != ";":
            end = _closing(self.text, end) if self.text[end] in "([{" else end + 1
        self.spans.append(_Span(at, end + 1, block))
        return end + 1

    def control(self, m: re.Match[str]) -> int:
        head = _Span(m.end(), _closing(self.text, m.end() - 1) - 1, 0, m[1])
        self.spans.append(head)
        self.blocks += 1  # a body without braces is a block of its own
        end = self.statement(head.end + 1, self.blocks)
        while m := re.compile(r"\s*else\b").match(self.text, end):
            self.blocks += 1
            end = self.statement(m.start(), self.blocks)
        return end


def _parts(text: str, at: int, end: int, separator: str) -> Iterator[tuple[int, int]]:
    """What lies between separators that are in no bracket."""
    start, find = at, re.compile(separator)
    while at < end:
        if text[at] in "([{":
            at = _closing(text, at)
        elif m := find.match(text, at, end):
            yield start, m.start()
            start = at = m.end()
        else:
            at += 1
    yield start, end


def _operands(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """What && and || join, in brackets or not."""
    m = re.compile(r"(?:(?:un)?likely)?\(").match(text, start, end)
    if m and _closing(text, m.end() - 1) == end:
        return _operands(text, m.end(), end - 1)
    parts = list(_parts(text, start, end, r"\s*(?:&&|\|\|)\s*"))
    return parts if len(parts) == 1 else [o for part in parts for o in _operands(text, *part)]


def _conditions(text: str, span: _Span, is_bool: bool) -> Iterator[tuple[int, int]]:
    """Each condition; of one that is made of several, each of them."""
    start, end = span.start, span.end
    if span.kind == "for":
        parts = list(_parts(text, start, end, r";\s*"))
        start, end = parts[1]
    if span.kind in ("if", "while", "for"):
        yield from _operands(text, start, end)
    elif m := _VALUE.match(text, start, end):
        start, end = next(_parts(text, m.start(2), m.end(2), r",\s"))  # of several that are declared
        found = _operands(text, start, end)
        question = list(_parts(text, start, end, r"\s\?\s"))
        if len(question) > 1:
            yield from _operands(text, *question[0])
        elif len(found) > 1 or m[1].startswith("bool ") or (is_bool and m[1] == "return "):
            yield from found


def _negate(f: _Function) -> Iterator[tuple[int, int, str]]:
    for span in f.spans:
        for start, end in _conditions(f.text, span, f.is_bool):
            if start < end and not re.fullmatch(r"true|false", f.text[start:end]):
                yield start, end, f"!({f.source[start:end]})"


def _drop(f: _Function) -> Iterator[tuple[int, int, str]]:
    for s in f.spans:
        if s.block and _CALL.fullmatch(f.text, s.start, s.end) and not _ASIDE.match(f.text, s.start):
            yield s.start, s.end, f"{{ if (false) {f.source[s.start:s.end]} }}"  # what it names stays used


def _commute(one: str, two: str) -> bool:
    """Assignments of two places: the order is nobody's business."""
    a, b = _SETTERS.fullmatch(one), _SETTERS.fullmatch(two)
    if a and b:
        return a[2] != b[2]
    a, b = _ASSIGNMENT.fullmatch(one), _ASSIGNMENT.fullmatch(two)
    return bool(a and b and not _names(two, a[1]) and not _names(one, b[1]))


def _names(statement: str, place: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(place)}(?!\w)", statement) is not None


def _swap(f: _Function) -> Iterator[tuple[int, int, str]]:
    for a, b in zip(f.spans, f.spans[1:]):
        if not a.block or a.block != b.block or any(_ASIDE.match(f.text, s.start) for s in (a, b)):
            continue
        if not _commute(f.text[a.start:a.end], f.text[b.start:b.end]):
            one, between, two = (f.source[i:j] for i, j in ((a.start, a.end), (a.end, b.start), (b.start, b.end)))
            yield a.start, b.end, two + between + one


def _shifted(m: re.Match[str]) -> str:
    if order := m["order"]:
        other = order[0] if order.endswith("=") else order + "="
        return m[0].replace(f" {order} ", f" {other} ")
    return m[0][:-1] + str(int(m[0][-1]) + 1) if re.search(r"\b\d$", m[0]) else m[0] + " + 1"


def _shift(f: _Function) -> Iterator[tuple[int, int, str]]:
    for s in f.spans:
        if s.block and _ASIDE.match(f.text, s.start) and not f.text.startswith("return ", s.start):
            continue
        for m in _BOUND.finditer(f.text, s.start, s.end):
            yield *m.span(), _shifted(m)


OPERATORS = {"negate": _negate, "drop": _drop, "swap": _swap, "shift": _shift}


def generate(file: str, source: str) -> list[Mutant]:
    """All mutants of one file, in its order."""
    text = _masked(source)
    found: list[Mutant] = []
    seen: Counter[tuple[str, str, str]] = Counter()
    for function in _FUNCTION.finditer(text):
        if _REPORTS.search(function["name"]) or _CONTROL.match(function["name"] + "("):
            continue
        scanner = _Scanner(text)
        scanner.block(function.end() - 1)
        is_bool = re.search(r"\bbool\b", function["head"].split("(")[0]) is not None
        body = _Function(source, text, scanner.spans, is_bool)
        for operator, changes in OPERATORS.items():
            for start, end, new in changes(body):
                what = " ".join(text[start:end].split())
                key = (function["name"], operator, what)
                seen[key] += 1
                found.append(Mutant(file, *key, seen[key], start, end, new))
    return found


@cache
def of_file(file: str) -> list[Mutant]:
    """All mutants of a file of this tree."""
    return generate(file, (ROOT / file).read_text())


@cache
def targets() -> list[str]:
    """Every source and header of the kernel that has something to change."""
    files = [path.relative_to(ROOT).as_posix() for folder in _FOLDERS for path in sorted((ROOT / folder).rglob("*.[ch]"))]
    return [file for file in files if file not in _REPORTERS and of_file(file)]
