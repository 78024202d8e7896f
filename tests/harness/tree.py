"""Copies of the source tree that are changed and built: for the operators, and for seeded bugs.

A copy takes over the objects of the tree's own build with their times, so that make compiles only what the
change touches."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import bug_files, catalogue
from .build import Build, locked, run_checked
from .catalogue import ROOT

SOURCES = ["Makefile", "linker.ld", "boot", "drivers", "kernel", "mm", "pv", "tests"]
_BUILT_FROM = {".c", ".h", ".asm", ".inc", ".ld", ".awk", ".mk", ""}
_NO_SOURCE = shutil.ignore_patterns("__pycache__", "system", "harness", "bugs")


def _copy_objects(source: Path, target: Path) -> None:
    """All of a build but what is linked last. Each file appears at once: a run may be reading the old one."""
    for path in source.rglob("*"):
        name = path.relative_to(source)
        if path.is_file() and path.suffix not in (".elf", ".tmp") and name.parts[0] != "musl":
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy.with_name(copy.name + ".tmp"))
            os.replace(copy.with_name(copy.name + ".tmp"), copy)


def _copy_sources(target: Path) -> None:
    for name in SOURCES:
        shutil.rmtree(target / name, ignore_errors=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=_NO_SOURCE)
        else:
            shutil.copy2(ROOT / name, target / name)


def refresh(root: Path, like: Build) -> None:
    """Make @root a copy of the tree, with the objects of the build @like. First the objects: a source that
    changes meanwhile is newer than they are, and is compiled again."""
    like.make()
    (copy := root / like.directory.relative_to(like.root)).mkdir(parents=True, exist_ok=True)
    with locked(like.lock):
        _copy_objects(like.directory, copy)
    _copy_sources(root)


class Tree:
    """A copy of the tree, with a build of its own."""

    def __init__(self, root: Path):
        shutil.rmtree(root, ignore_errors=True)
        refresh(root, Build())
        self.build = Build(root=root)
        self.build.make()
        self._code = self._loaded()

    def _loaded(self) -> bytes:
        """A digest of what the image loads: code and data, without what a debugger reads."""
        plain = self.build.image.with_suffix(".bin")
        run_checked("objcopy", "-O", "binary", str(self.build.image), str(plain))
        return hashlib.sha256(plain.read_bytes()).digest()

    def is_unchanged(self) -> bool:
        """The compiler has made of the changed tree what it made of the original."""
        return self._loaded() == self._code

    def change(self, file: str, source: str) -> None:
        (self.build.root / file).write_text(source, encoding="utf-8")

    def analyse(self, file: str) -> None:
        """clang's thread-safety analysis of @file; of a header as its own source includes it, or one that is made."""
        source = Path(file).with_suffix(".c")
        if not (self.build.root / source).exists():
            source = Path("build/includes.c")
            (self.build.root / source).write_text(f'#include "{file}"\n', encoding="utf-8")
        run_checked("make", "check-thread-safety", f"SRC={source}", cwd=self.build.root)


def _digest(edits: tuple[bug_files.Edit, ...]) -> str:
    """Of all that decides the image, the compiler apart."""
    whole = hashlib.sha256(repr(edits).encode())
    for name in SOURCES:
        top = ROOT / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.suffix in _BUILT_FROM and path.is_file():
                whole.update(f"{path.relative_to(ROOT)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return whole.hexdigest()


@dataclass(frozen=True)
class EditedBuild(Build):
    """The kernel with a seeded bug, in a copy of the tree; only make() it through here. The image
    stays until tree or bug change, the objects do not: they are most of the room."""
    bug: str = ""
    edits: tuple[bug_files.Edit, ...] = ()

    def make(self, target: str = "all") -> None:
        with locked(self.root.with_name(f".{self.root.name}.lock")):
            digest, stamp = _digest(self.edits), self.directory / "digest"
            if stamp.is_file() and stamp.read_text() == digest:
                return
            stamp.unlink(missing_ok=True)
            changed = bug_files.apply(self.bug, self.edits, ROOT)
            refresh(self.root, Build(cc=self.cc, debug=self.debug))
            for file, text in changed.items():
                (self.root / file).write_text(text, encoding="utf-8")
            super().make(target)
            self._drop_objects()
            stamp.write_text(digest)

    def _drop_objects(self) -> None:
        for path in self.directory.iterdir():
            if path not in (self.image, self.initrd):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def build_of(bug: catalogue.Bug | None, cc: str = "gcc", debug: bool = True) -> Build:
    """The build that has @bug; None: the ordinary one."""
    if bug:
        return EditedBuild(cc=cc, debug=debug, root=ROOT / "build/bugs" / bug.name, bug=bug.name, edits=bug.edits)
    return Build(cc=cc, debug=debug)
