"""What there is to choose from: suites, backends, boot paths. The sources are asked, no list is kept."""

import re
from pathlib import Path
from typing import NamedTuple

from . import bug_files

ROOT = Path(__file__).resolve().parents[2]
BUG_FILES = ROOT / "tests/bugs"

BOOT_PATHS = {
    "pvh": "QEMU loads the ELF itself, by its PVH note",
    "bios": "GRUB on SeaBIOS, Multiboot2",
    "uefi": "GRUB on OVMF, Multiboot2",
}
MACHINES = {"qemu": "plain QEMU", "xen": "real Xen in QEMU, as its PV dom0",
            "xl": "real Xen in QEMU, as a PV domU that xl starts in a Linux dom0"}
BACKENDS = {
    "native": "the CPU walks the guest's tables; sections batch TLB invalidations",
    "xen": "direct page tables of a Xen PV guest; sections batch into mmu_update (--on xen, xl)",
    "ptwr": "the same, but every PTE write is a store that Xen emulates: the slow baseline",
    "deferred": "a software hypervisor owns the tables: it takes the queue and validates each update",
    "shadow": "the same, and the CPU walks shadow tables of its own, which follow the guest's",
}
XEN_BACKENDS = {"xen", "ptwr"}


def version() -> str:
    """What the kernel's boot line says, too: the Makefile has it."""
    return re.search(r"^VERSION := (\S+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)[1]


class Suite(NamedTuple):
    name: str
    what: str
    default: bool
    folder: str  # of tests/: unit, stress, bench

    @property
    def tags(self) -> tuple[str, ...]:
        """What it is chosen by, besides its name."""
        return (self.folder, "stepping") if _is_stepping(self) else (self.folder,)


TAGS = ("unit", "stress", "bench", "stepping")


_SUITE = re.compile(
    r'^(?:KTEST|STRESS)_SUITE\(\s*\w+,\s*"([\w-]+)",\s*"((?:[^"]|"\s*")*)",\s*(true|false|\.|MUST_COUNT)', re.S | re.M)


def suites(root: Path = ROOT) -> list[Suite]:
    """Every suite that registers itself with the kernel, by name."""
    found = []
    for path in sorted([*root.glob("tests/unit/*/*.c"), *root.glob("tests/stress/*.c"), *root.glob("tests/bench/*.c")]):
        for name, what, default in _SUITE.findall(path.read_text()):
            found.append(Suite(name, re.sub(r'"\s*"', "", what), default != "false", path.relative_to(root).parts[1]))
    return sorted(found)


def _names(chosen) -> str:
    return ",".join(s.name for s in chosen)


def _is_stepping(suite: Suite) -> bool:
    return suite.name == "preempt-everywhere" or suite.name.startswith("race-")


def measuring_suites() -> str:
    """Those of bench/: test_bench.py judges their figures."""
    return _names(s for s in suites() if s.folder == "bench")


def stepping_suites() -> str:
    """Those that let another CPU come at each instruction of one. What they meet depends on backend, build, lazy mode
    and the first few CPUs, and on nothing else; and their CPUs wait for each other. So they belong where CPUs take
    turns (Config.icount): where each has a thread, it spins, and they cost ten times as much. test_races.py runs them."""
    return _names(s for s in suites() if _is_stepping(s))


def ordinary_suites(only_default: bool = False) -> str:
    """Those of every boot: all that judge, without those that step."""
    return _names(s for s in suites() if s.folder != "bench" and not _is_stepping(s) and s.default >= only_default)


def unit_suites() -> str:
    """Those that ask one thing at a time, without those that step."""
    return _names(s for s in suites() if s.folder == "unit" and not _is_stepping(s))


def stress_suites() -> str:
    """Those of many processes or threads that work at once: where a boot differs from one of the others in what these
    meet, such as in the number of CPUs, and in nothing that a unit suite asks for."""
    return _names(s for s in suites() if s.folder == "stress" and not _is_stepping(s))


Bug = bug_files.BugFile


def bugs() -> list[Bug]:
    """All seeded bugs: the files of tests/bugs."""
    return bug_files.read_all(BUG_FILES)


def bug(name: str) -> Bug | None:
    """The one of @name, which there is; None for no name."""
    return next(b for b in bugs() if b.name == name) if name else None


def as_json() -> dict:
    """All that `./pteron list` names."""
    return {"suites": [{"name": s.name, "what": s.what, "default": s.default, "tags": s.tags} for s in suites()],
            "bugs": [{"name": b.name, "provenance": b.provenance, "backends": b.backends, "suites": b.suites.split(",")}
                     for b in bugs()],
            "backends": BACKENDS, "boot": BOOT_PATHS, "on": MACHINES}
