"""What stands between the harness's words and the person's eyes: the width of a terminal, and its colours.

What a person copies, a replay line or the path of a log, is never broken; all else that is wider than the terminal goes on
in the next line. In a file or a pipe nothing is changed, but for colours that --color always asks for."""

import os
import re
import shutil
import sys
import textwrap

COLOUR_CHOICES = ("auto", "always", "never")
_RED, _GREEN, _YELLOW, _PLAIN = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"
_COPIED = re.compile(r"(# )?(replay|log|again|or look inside): ")
_INDENT = "    "
# In each line the first of these that fits: what is in its group gets the colour.
_COLOURED = [
    (re.compile(r"^\s*(not ok) "), _RED),
    (re.compile(r"^\s*ok \d+ .*(# SKIP)\b"), _YELLOW),
    (re.compile(r"^\s*(ok) \d+ "), _GREEN),
    (re.compile(r"^# (?:panic|hang|error): .*|^(why:|also failed:)"), _RED),
    (re.compile(r"^(?:# verdict |\S+ +)(passed)\b"), _GREEN),
    (re.compile(r"^(?:# verdict |\S+ +)(failed|crashed|hung|incomplete)\b"), _RED),
    (re.compile(r"(?:: |^    )(PASSED)$"), _GREEN),
    (re.compile(r"(?:: |^    )([A-Z]{4,})$"), _RED),
    (re.compile(r"^seed \d+: (passed) "), _GREEN),
    (re.compile(r"^seed \d+: (\w+) "), _RED),
]


def _wants_colour(choice: str, stream) -> bool:
    """https://no-color.org: NO_COLOR is obeyed where nobody has asked for the opposite."""
    if choice == "auto":
        return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return choice == "always"


class Terminal:
    """Where a command prints: @stream, or standard output as it is now."""

    def __init__(self, color: str = "auto", stream=None):
        self.stream = stream or sys.stdout
        self.interactive = self.stream.isatty()
        self.coloured = _wants_colour(color, self.stream)
        self._shown = False  # a status line

    @property
    def columns(self) -> int:
        """They may change while a command runs."""
        try:
            return os.get_terminal_size(self.stream.fileno()).columns or 80
        except (OSError, ValueError):
            return shutil.get_terminal_size().columns

    def painted(self, line: str) -> str:
        """@line with its verdict in colour, if there are colours."""
        if self.coloured:
            for pattern, colour in _COLOURED:
                if m := pattern.search(line):
                    start, end = m.span(1) if m.re.groups and m[1] else m.span()
                    return line[:start] + colour + line[start:end] + _PLAIN + line[end:]
        return line

    def fitted(self, line: str) -> list[str]:
        """@line in as many as the terminal needs."""
        if not self.interactive or len(line) <= self.columns or _COPIED.match(line):
            return [line]
        own = line[:len(line) - len(line.lstrip())]
        return textwrap.wrap(line, self.columns, subsequent_indent=own + _INDENT, break_long_words=False, break_on_hyphens=False)

    def status(self, text: str) -> None:
        """One line, which the next that is printed takes away; it is cut where the terminal ends."""
        self.stream.write("\r\x1b[K" + text[:self.columns - 1])
        self.stream.flush()
        self._shown = True

    def clear(self) -> None:
        """No status line is there any more."""
        if self._shown:
            self.stream.write("\r\x1b[K")
            self._shown = False

    def print(self, text: str) -> None:
        """Words of the harness, or the kernel's, of one line or of several."""
        self.clear()
        for line in text.split("\n"):
            for part in self.fitted(line):
                print(self.painted(part), file=self.stream)
        self.stream.flush()


def to_stderr(text: str) -> None:
    """What is no result: what a command is at, and what was wrong."""
    Terminal("never", sys.stderr).print(text)
