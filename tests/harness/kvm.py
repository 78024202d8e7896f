"""Does KVM truly work here? A device node does not tell: it may emulate, slowly and not completely."""

import os
from dataclasses import replace

from .catalogue import ROOT
from .machine import Config
from .runner import run

# A KVM that runs guest code by itself boots Pteron and runs these in a fraction of a second.
PROBE_SUITES = "pv,pgtable,vma,fault,zap"
PROBE_PATIENCE = 4
PROBE_QUIET = 2  # seconds without a word of the probe, until the caller is told


def _boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as f:
        return f.read().strip()


def kvm_works(config: Config, say=lambda text: None) -> bool:
    """Boot a probe under KVM; @say, if that takes long. A success is remembered until the host boots again."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    memo = ROOT / "build" / f"kvm-works-{_boot_id()}"
    if not memo.exists():
        probe = replace(config, accel="kvm", boot="pvh", cpu="max", cpus=2, mem=128, append="",
                        rounds=2, suite=PROBE_SUITES, backend="native", initrd=None,
                        program=())
        def quiet(seconds: float) -> None:
            if round(seconds) == PROBE_QUIET:
                say("pteron: trying whether KVM works here")

        if run(probe, patience=PROBE_PATIENCE, on_quiet=quiet).verdict != "passed":
            return False
        memo.touch()
    return True


def choose_accel(config: Config, wish: str, say) -> str:
    """auto: KVM where it truly works, else TCG with one line that says so."""
    if wish != "auto":
        return wish
    if kvm_works(config, say):
        return "kvm"
    if not os.path.exists("/dev/kvm"):
        why = "there is no /dev/kvm"
    elif not os.access("/dev/kvm", os.R_OK | os.W_OK):
        why = "/dev/kvm is not yours to use (it belongs to the group kvm)"
    else:
        why = "KVM does not run Pteron here"
    say(f"pteron: {why}: using TCG")
    return "tcg"
