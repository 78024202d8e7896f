"""The goals of the benchmark: instructions at 512 touched pages, by place."""

_DENSITIES = ("aligned", "unaligned", "sparse2", "sparse8")
_PER_PAGE = {
    "qemu": [
        ("touch", ("aligned", "sparse8", "permuted"), 1200), ("touch_fresh", ("aligned",), 1200),
        ("read_touch", ("aligned", "sparse8", "permuted"), 450),
        ("cow_copy", (*_DENSITIES, "permuted"), 1600),
        ("cow_reuse", ("aligned", "sparse8", "permuted"), 450),
        ("mprotect_rw_r", _DENSITIES, 40), ("mprotect_rw_r", ("aligned",), 5),
        ("mprotect_r_rw", _DENSITIES, 40), ("mprotect_r_rw", ("aligned",), 5),
        ("munmap", _DENSITIES, 200), ("dontneed", _DENSITIES, 200),
        ("mremap", (*_DENSITIES, "odd"), 40),
        ("fork_marginal", _DENSITIES, 60),
        ("populate", ("aligned", "unaligned"), 800),
    ],
    "xen": [
        ("touch", ("sparse8", "permuted"), 3200), ("touch", ("aligned",), 1500),
        ("touch_fresh", ("aligned",), 1500),
        ("read_touch", ("aligned", "sparse8", "permuted"), 2400),
        ("cow_copy", (*_DENSITIES, "permuted"), 4000),
        ("cow_reuse", ("aligned", "sparse8", "permuted"), 2400),
        ("mprotect_rw_r", _DENSITIES, 720), ("mprotect_rw_r", ("aligned",), 30),
        ("mprotect_r_rw", _DENSITIES, 720), ("mprotect_r_rw", ("aligned",), 30),
        ("munmap", _DENSITIES, 650), ("munmap", ("aligned",), 350),
        ("dontneed", _DENSITIES, 650), ("dontneed", ("aligned",), 350),
        ("mremap", _DENSITIES, 1100), ("mremap", ("odd",), 450), ("mremap", ("aligned",), 30),
        ("fork_marginal", _DENSITIES, 950), ("fork_marginal", ("aligned",), 250),
        ("populate", ("aligned", "unaligned"), 900),
    ],
}
_CALLS = {"qemu": {"getppid": 120, "fork_untouched": 15_000},
          "xen": {"getppid": 790, "fork_untouched": 80_000}}
GOAL_PAGES = 512
FLOOR_MOST = {"qemu": 1.5, "xen": 1.25}  # times what no kernel can avoid
SPEEDUP = 1.9  # of faults in disjoint regions, two vCPUs against one


def _limits(place: str) -> dict[tuple[str, str], float]:
    """By operation and layout; what stands later in the lists is the more special."""
    found: dict[tuple[str, str], float] = {(name, ""): limit for name, limit in _CALLS[place].items()}
    for name, layouts, limit in _PER_PAGE[place]:
        found.update({(name, layout): limit for layout in layouts})
    return found


LIMITS = {place: _limits(place) for place in _PER_PAGE}
