"""The rule of the rooms (tests/rooms.txt) is enforced by tests/harness/rooms.py; each way to break it is seen. So are links that lead
nowhere."""

from pathlib import Path

import pytest

from harness.links import broken
from harness.rooms import Rooms, check

ORDER = """
# comment
lib    the lowest
kernel/low    lower
kernel/high   higher
^ kernel/low/a.c  kernel/high/h.h  a reason of several words
"""

FILES = {"kernel/low/a.c": '#include "kernel/high/h.h"\n', "kernel/low/l.h": "", "kernel/high/h.h": '#include "kernel/low/l.h"\n'}


def house(tmp_path: Path, **changed: str) -> Path:
    for name, text in {**FILES, **{k.replace("__", "/").replace("_c", ".c").replace("_h", ".h"): v for k, v in changed.items()}}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_the_house_is_in_order(tmp_path):
    assert check(house(tmp_path), Rooms(ORDER)) == []


@pytest.mark.parametrize("changed, order, said", [
    ({"kernel__low__b_c": '#include "kernel/high/h.h"\n'}, ORDER, "kernel/low/b.c: includes kernel/high/h.h"),
    ({"kernel__attic__x_c": ""}, ORDER, "kernel/attic/x.c: lies in no room"),
    ({"kernel__high__x_c": "	if (pv_ops.name[0] == 'x')\n"}, ORDER, "kernel/high/x.c:1: asks which hypervisor"),
    ({"kernel__low__a_c": ""}, ORDER, "nobody needs the upcall kernel/low/a.c -> kernel/high/h.h"),
    ({}, ORDER + "^ kernel/low/a.c kernel/high/h.h\n", "an upcall is"),
    ({}, ORDER + "^ kernel/low/gone.c kernel/high/h.h why\n", "nobody needs the upcall kernel/low/gone.c"),
    ({}, ORDER + "".join(f"^ kernel/low/{i}.c kernel/low/l.h why\n" for i in range(8)), "9 upcalls; 8 are the limit"),
])
def test_what_is_refused(tmp_path, changed, order, said):
    assert any(said in line for line in check(house(tmp_path, **changed), Rooms(order)))


def test_links(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("[a](docs/a.md) [b](docs/a.md#part) [c](https://example.org/x) [d](gone.md)\n")
    (tmp_path / "docs/a.md").write_text("[up](../README.md)\n[down](sub/a.md)\n")
    assert broken(tmp_path) == ["README.md:1: there is no gone.md", "docs/a.md:2: there is no sub/a.md"]
