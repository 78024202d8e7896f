"""Versions in Debian's order (deb-version(7)), which is that of releases: 6.9 comes before 6.12, and 7.1-rc3 does not come last."""

import re
from functools import cmp_to_key


def _weight(char: str) -> int:
    """A tilde comes before the end, letters before all else."""
    return -1 if char == "~" else ord(char) if char.isalpha() else ord(char) + 256


def _compare_text(a: str, b: str) -> int:
    for i in range(max(len(a), len(b))):
        x = _weight(a[i]) if i < len(a) else 0
        y = _weight(b[i]) if i < len(b) else 0
        if x != y:
            return -1 if x < y else 1
    return 0


def _compare_part(a: str, b: str) -> int:
    """Text and numbers in turns."""
    while a or b:
        x, y = (re.match(r"(\D*)(\d*)(.*)", s, re.S).groups() for s in (a, b))
        if order := _compare_text(x[0], y[0]):
            return order
        if order := int(x[1] or 0) - int(y[1] or 0):
            return -1 if order < 0 else 1
        a, b = x[2], y[2]
    return 0


def _parts(version: str) -> tuple[int, str, str]:
    """Epoch, upstream's version, Debian's revision."""
    epoch, colon, rest = version.partition(":")
    upstream, _, revision = (rest if colon else version).rpartition("-")
    return int(epoch) if colon and epoch.isdigit() else 0, upstream or revision, revision if upstream else "0"


def compare(a: str, b: str) -> int:
    """Below 0, 0 or above 0: @a is older than @b, the same, newer."""
    x, y = _parts(a), _parts(b)
    return x[0] - y[0] or _compare_part(x[1], y[1]) or _compare_part(x[2], y[2])


key = cmp_to_key(compare)  # for sorted() and max()


def upstream(version: str) -> str:
    """Of a package's version: without epoch, revision and what Debian adds."""
    return re.match(r"[\d.]*\d(?:[-~]rc\d+)?", _parts(version)[1])[0] if re.match(r"\d", _parts(version)[1]) else version


def is_in(version: str, series: str) -> bool:
    """7.0.4 is in 7.0 and in 7, and in itself; 7.10 is not in 7.1."""
    return version == series or version.startswith(series + ".")
