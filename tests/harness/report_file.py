"""A file that a command leaves when it has ended: whole, or not at all."""

import os
import sys
from pathlib import Path

STDOUT = "-"


class ReportError(Exception):
    """The file cannot be written; the text says why."""


def callers_path(text: str) -> Path:
    """A path as the caller meant it: ./pteron changes to its own folder."""
    return Path(os.environ.get("PTERON_CALLER", ".")) / text


class ReportFile:
    """What @option names. It is tried before the run, so that a bad path costs no time; and an older one is removed, so
    that none is taken for this run's. `-` is standard output: all else then goes to standard error."""

    def __init__(self, option: str, name: str):
        self.stdout = sys.stdout if name == STDOUT else None
        if self.stdout:
            sys.stdout = sys.stderr
            return
        self.path = callers_path(name)
        self.part = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            self.part.write_text("", encoding="utf-8")
            self.part.unlink()
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise ReportError(f"{option} {name}: {error.strerror}") from error

    def write(self, text: str) -> None:
        """The whole of it, at once: by a rename."""
        if self.stdout:
            self.stdout.write(text)
            self.stdout.flush()
            return
        try:
            self.part.write_text(text, encoding="utf-8")
            os.replace(self.part, self.path)
        except OSError as error:
            self.part.unlink(missing_ok=True)
            raise OSError(error.errno, error.strerror, str(self.path)) from error


def report_file(option: str, name: str | None) -> ReportFile | None:
    """None if @name is."""
    return ReportFile(option, name) if name else None
