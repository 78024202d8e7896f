"""The rule of the rooms (tests/rooms.txt): a file includes its own room and the rooms above it in the list.

`make check` runs this module. It also refuses a source in no room, an upcall that nobody needs any more, and
code of kernel/ or mm/ that asks which hypervisor it runs on."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

FOLDERS = ("kernel", "mm", "pv", "drivers", "boot", "tests")
MAX_UPCALLS = 8
_INCLUDE = re.compile(r'^[#%]include "([^"]+)"', re.M)
_ASKS_WHICH = re.compile(r"if \(.*(is_?xen|xen_domain|pv_ops\.name)", re.I)


class Rooms:
    """The list: rooms in their order, and the upcalls with their reasons."""

    def __init__(self, text: str):
        self.order: list[str] = []
        self.upcalls: dict[tuple[str, str], str] = {}
        self.wrong: list[str] = []
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            if not words or words[0] == "#" or line.startswith("#"):
                continue
            if words[0] != "^":
                self.order.append(words[0])
            elif len(words) < 4:
                self.wrong.append(f"rooms.txt:{number}: an upcall is `^ includer included reason`")
            else:
                self.upcalls[words[1], words[2]] = " ".join(words[3:])

    def rank(self, file: str) -> int | None:
        """Of the room that @file lies in: tests/ is one, and of every other the folder itself."""
        folder = "tests" if file.startswith("tests/") else file.rpartition("/")[0]
        return self.order.index(folder) if folder in self.order else None


def sources(root: Path) -> Iterator[str]:
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            name = path.relative_to(root).as_posix()
            if path.suffix in (".c", ".h", ".asm", ".inc") and not name.startswith(("tests/user/", "tests/negative/", "tests/host/")):
                yield name


def _asks(file: str, text: str) -> Iterator[str]:
    if file.startswith(("kernel/", "mm/")):
        for number, line in enumerate(text.splitlines(), 1):
            if _ASKS_WHICH.search(line):
                yield f"{file}:{number}: asks which hypervisor it runs on: the pv table should say what differs"


def check(root: Path, rooms: Rooms) -> list[str]:
    """What is wrong, a line each."""
    wrong, needed = list(rooms.wrong), set()
    for file in sources(root):
        text, rank = (root / file).read_text(), rooms.rank(file)
        wrong += _asks(file, text)
        if rank is None:
            wrong.append(f"{file}: lies in no room of rooms.txt")
            continue
        for included in _INCLUDE.findall(text):
            other = rooms.rank(included)
            if other is None or other <= rank:
                continue
            needed.add((file, included))
            if (file, included) not in rooms.upcalls:
                wrong.append(f"{file}: includes {included}, of a room below its own in rooms.txt")
    for pair in rooms.upcalls:
        exists = all((root / file).exists() for file in pair)
        if not exists or (pair[1].endswith(".h") and pair not in needed):
            wrong.append(f"rooms.txt: nobody needs the upcall {pair[0]} -> {pair[1]} any more")
    if len(rooms.upcalls) > MAX_UPCALLS:
        wrong.append(f"rooms.txt: {len(rooms.upcalls)} upcalls; {MAX_UPCALLS} are the limit")
    return wrong


def main() -> int:
    root = Path(__file__).resolve().parents[2]
    rooms = Rooms((root / "tests/rooms.txt").read_text())
    wrong = check(root, rooms)
    print("\n".join(wrong) if wrong else f"rooms: {len(rooms.order)} in order, {len(rooms.upcalls)} upcalls")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
