"""Seeded bugs: tests/bugs/NAME.toml says which text of the kernel is replaced, and what suites notice it.

    backends = "native deferred shadow xen"     # where it can be seen; also xl
    suites = "zap,mix"                          # one run of them must notice it
    provenance = "whose mistake it was, in a line"
    link = "https://..."                        # to the public report or commit, where there is one
    below_qemu = "10.0"                         # where only an older QEMU does what shows it
    [[edit]]
    file = "mm/range/zap.c"
    old = '''text that occurs once in the file'''
    new = '''text in its place'''

`make check` runs this module: a file that no longer fits the tree is an error there, and in every command
that would use it."""

import re
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LINK = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)+/\S+")
_PUBLIC = re.compile(r"CVE-\d{4}-\d{4,}")
_REQUIRED, _OPTIONAL = ("backends", "suites", "provenance", "edit"), ("link", "below_qemu")


class BugFileError(Exception):
    """A file of tests/bugs/ is wrong; the text names the file and what is wrong in it."""


class Edit(NamedTuple):
    """The text @old, which occurs once in @file, becomes @new."""
    file: str
    old: str
    new: str


class BugFile(NamedTuple):
    name: str
    backends: tuple[str, ...]
    suites: str
    provenance: str
    link: str
    edits: tuple[Edit, ...]
    below_qemu: str = ""


def _need(condition: object, path: Path, text: str) -> None:
    if not condition:
        raise BugFileError(f"{path.parent.name}/{path.name}: {text}")


def _check_keys(path: Path, table: dict, required: tuple[str, ...], optional: tuple[str, ...], where: str) -> None:
    missing = [key for key in required if not table.get(key)]
    _need(not missing, path, f"{where} has no {', '.join(missing)}")
    unknown = sorted(set(table) - set(required) - set(optional))
    _need(not unknown, path, f"{where} has {', '.join(unknown)}; there is only {', '.join(required + optional)}")


def _edit(path: Path, number: int, table: object) -> Edit:
    where = f"edit {number}"
    _need(isinstance(table, dict), path, f"{where} is not a table: write [[edit]]")
    _check_keys(path, {**table, "new": table.get("new") or "-"}, Edit._fields, (), where)
    _need("new" in table, path, f"{where} has no new")
    _need(all(isinstance(value, str) for value in table.values()), path, f"{where}: each value is a string")
    edit = Edit(table["file"], table["old"], table["new"])
    _need(edit.old != edit.new, path, f"{where}: old and new are the same text")
    return edit


def _check_provenance(path: Path, provenance: str, link: str | None) -> None:
    """A part of a sentence; where it names what is public, a link leads there."""
    _need(provenance == provenance.strip() and not provenance.endswith("."), path, "provenance ends without blank and full stop")
    _need(link is None or _LINK.fullmatch(link), path, f"link is no https://host/path: {link!r}")
    _need(link or not _PUBLIC.search(provenance), path, "provenance names a CVE, and there is no link")


def read(path: Path) -> BugFile:
    """The file at @path, checked for itself; fits() asks the tree."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BugFileError(f"{path.parent.name}/{path.name}: {error}") from error
    _need(_NAME.fullmatch(path.stem), path, "a bug's name is small letters, digits and single dashes")
    _check_keys(path, table, _REQUIRED, _OPTIONAL, "the file")
    texts = [table[key] for key in ("backends", "suites", "provenance")] + [table.get(key, "") for key in _OPTIONAL]
    _need(all(isinstance(text, str) and "\n" not in text for text in texts), path,
          "backends, suites, provenance, link and below_qemu are strings of one line")
    _need(re.fullmatch(r"(\d+\.\d+)?", texts[4]), path, f"below_qemu is no version such as 10.0: {texts[4]!r}")
    _check_provenance(path, table["provenance"], table.get("link"))
    _need(isinstance(table["edit"], list), path, "edit is not a list: write [[edit]]")
    edits = tuple(_edit(path, number, edit) for number, edit in enumerate(table["edit"], 1))
    return BugFile(path.stem, tuple(texts[0].split()), texts[1], texts[2], texts[3], edits, texts[4])


def read_all(directory: Path) -> list[BugFile]:
    return [read(path) for path in sorted(directory.glob("*.toml"))]


def apply(name: str, edits: tuple[Edit, ...], root: Path) -> dict[str, str]:
    """What the files below @root that @edits touch become. BugFileError where they do not fit."""
    path, texts = Path(f"bugs/{name}.toml"), {}
    spans: dict[str, list[tuple[int, int, str]]] = {}
    for number, edit in enumerate(edits, 1):
        where = f"edit {number}"
        file = root / edit.file
        _need(file.is_file() and file.resolve().is_relative_to(root.resolve()), path,
              f"{where}: there is no file {edit.file}")
        text = texts.setdefault(edit.file, file.read_text(encoding="utf-8"))
        _need(edit.old in text, path, f"{where}: {edit.file} has no such text:\n{edit.old}")
        start = text.index(edit.old)
        _need(text.find(edit.old, start + 1) < 0, path, f"{where}: {edit.file} has this text more than once:\n{edit.old}")
        spans.setdefault(edit.file, []).append((start, start + len(edit.old), edit.new))
    return {file: _replaced(path, file, texts[file], spans[file]) for file in texts}


def _replaced(path: Path, file: str, text: str, spans: list[tuple[int, int, str]]) -> str:
    last = len(text)
    for start, end, new in sorted(spans, reverse=True):
        _need(end <= last, path, f"two edits of {file} overlap")
        text, last = text[:start] + new + text[end:], start
    return text


def check(bug: BugFile, root: Path, backends: list[str], suites: list[str]) -> None:
    """@bug names what there is, and fits the tree at @root."""
    path = Path(f"bugs/{bug.name}.toml")
    for what, names, known in (("backend", bug.backends, backends), ("suite", bug.suites.split(","), suites)):
        for name in names:
            _need(name in known, path, f"there is no {what} {name!r}; there are: {', '.join(known)}")
        _need(len(set(names)) == len(names), path, f"a {what} is named twice")
    apply(bug.name, bug.edits, root)


def main() -> int:
    """Check every file; `make check`."""
    from . import catalogue, mutants  # pylint: disable=import-outside-toplevel  # they import this module
    try:
        bugs = read_all(catalogue.BUG_FILES)
        for bug in bugs:
            check(bug, catalogue.ROOT, list(mutants.SETTINGS), [s.name for s in catalogue.suites()])
    except BugFileError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"seeded bugs: {len(bugs)} files of edits fit the tree")
    return 0


if __name__ == "__main__":
    sys.exit(main())
