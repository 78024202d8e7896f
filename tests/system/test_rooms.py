"""The rule of the rooms (tests/rooms.txt) is enforced by tests/harness/rooms.py; each way to break it is seen. So are links that lead
nowhere, and names that two files define."""

from pathlib import Path

import pytest

from harness import names
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


ONE = """
/* static int in_a_comment(void) { } */
#ifdef CONFIG_DEBUG
#define DEFINE(x) static int x##_made(void) \\
	{ return 0; }
#endif
static int prototype(int a);
static u8 (*pointer)[4] __guarded_by(lock);
static int one __guarded_by(lock), two;
static struct {
	int member;
} behind_body;
static DEFINE_PER_CPU(u64, per_cpu_one);
static DEFINE_SPINLOCK(lock_one, LOCK_ONE);
static const char *const words[] = {"x"};
static __always_inline struct task *
broken_line(void)
{
	static int local;
	return NULL;
}
int global_one(void)
{
	return local;
}
static inline int of_header(int a, void (*fn)(int))
	__must_hold(lock)
{
	return fn(a);
}
"""


def test_definitions():
    assert set(names.definitions(ONE)) == {"pointer", "one", "two", "behind_body", "per_cpu_one", "lock_one", "words", "broken_line",
                                           "global_one", "of_header"}


@pytest.mark.parametrize("one, two, said", [
    ("static int twice(void)\n{\n}\n", "\nstatic long twice(int a)\n{\n}\n", "twice: kernel/low/a.c:1, mm/b.c:2"),
    ("static int twice;\n", "int twice(void)\n{\n}\n", "twice: kernel/low/a.c:1, mm/b.c:1"),
    ("static DEFINE_PER_CPU(int, twice);\n", "static struct {\n	int a;\n} twice;\n", "twice: kernel/low/a.c:1, mm/b.c:1"),
    ("static int once(int a);\nstatic int other;\n", "static int once(int a)\n{\n	int other = a;\n}\n", None),
])
def test_names(tmp_path, one, two, said):
    for name, text in (("kernel/low/a.c", one), ("mm/b.c", two)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert names.check(tmp_path) == ([said] if said else [])


def test_a_header_may_stand_for_a_source(tmp_path):
    (tmp_path / "mm").mkdir()
    (tmp_path / "mm/a.h").write_text("static inline void check(void) {}\n")
    (tmp_path / "mm/a.c").write_text("void check(void)\n{\n}\n")
    assert names.check(tmp_path) == []
    (tmp_path / "mm/b.h").write_text("static inline void check(void) {}\n")
    assert len(names.check(tmp_path)) == 1
