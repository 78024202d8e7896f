"""A kernel's own report, with the places in its source, where the kernel left them.

A report names functions by itself; whoever builds a kernel with debug information also wants file and line. Debian's kernels
have none: their reports stay as they are."""

import functools
import re
import subprocess
from pathlib import Path

_PLACE = re.compile(r"\b([A-Za-z_][\w.]*)\+0x([0-9a-f]+)/0x[0-9a-f]+")


@functools.cache
def _functions(image: Path) -> dict[str, int]:
    """The addresses of @image's functions; none where it is stripped."""
    done = subprocess.run(["nm", str(image)], capture_output=True, text=True, check=False)
    words = (line.split() for line in done.stdout.splitlines())
    return {w[2]: int(w[0], 16) for w in words if len(w) == 3 and w[1] in "tTwW"}


def _lines(image: Path, addresses: list[int]) -> list[str]:
    """FILE:LINE of each of @addresses; empty where it is not known."""
    done = subprocess.run(["addr2line", "-e", str(image), *map(hex, addresses)], capture_output=True, text=True, check=False)
    return ["" if line.startswith("??") else re.sub(r" \(discriminator.*", "", line) for line in done.stdout.splitlines()]


def annotate(report: list[str], image: Path) -> list[str]:
    """@report with FILE:LINE behind each line that names a place in a function of @image."""
    known = _functions(image)
    places = {i: known[m[1]] + int(m[2], 16) for i, line in enumerate(report) if (m := _PLACE.search(line)) and m[1] in known}
    if not places:
        return report
    # A return address is behind the call.
    found = dict(zip(places, _lines(image, [at if "RIP:" in report[i] else at - 1 for i, at in places.items()])))
    return [f"{line}  {found[i]}" if found.get(i) else line for i, line in enumerate(report)]
