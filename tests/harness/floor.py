"""What no kernel can avoid of an operation: of parts that are measured in the same run, each as often as it makes them."""

_CLEARED = ("touch", "touch_fresh", "populate")  # each touched page
_FREED = ("munmap", "dontneed")
_CHANGED = ("mprotect_rw_r", "mprotect_r_rw")  # where a table is not changed as a whole, each entry
_GIB, _GIB_PAGES = "munmap_touched_gib", 1 << 18
# By what a meter counts: f(aults), c(alls), k: copies; and by what an operation must do.
_PART_OF = {"f": "floor_exception", "c": "floor_syscall", "k": "floor_copy", "cleared": "floor_clear", "changed": "floor_change",
            "freed": "floor_free"}
PARTS = tuple(_PART_OF.values())


def floor_of(name: str, pages: int, layout: str, metered: dict[str, int], parts: dict[str, int]) -> float:
    """Exceptions and system calls whose handlers do nothing, the pages that were copied or must be cleared, the entries that must be
    changed or whose frames must be given back, and what the hypervisor took in the calls that were made of it (h)."""
    counts = {**metered, "cleared": pages * (name in _CLEARED), "freed": _GIB_PAGES if name == _GIB else pages * (name in _FREED),
              "changed": pages * (name in _CHANGED and layout == "unaligned")}
    return sum(counts[what] * parts[part] for what, part in _PART_OF.items()) + metered["h"]
