"""The QEMU command line of a run."""

import shlex
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote_plus

from . import dom0, program
from .build import Build, make_iso
from .catalogue import ROOT
from .judge import boot
from .judge.kernels import PTERON
from .judge.qemus import QEMU, Qemu
from .judge.xens import Xen, machines

TURNS = 4  # of Config.icount: the fastest at which CPUs take turns
XEN_CPUS = 2
XEN_MEMORY = 384  # MiB that Xen needs besides its domains'
LINUX_MEMORY = 384  # MiB of a Linux dom0
FAST_XEN = "xpti=no spec-ctrl=no"
# QEMU 10 and 11 have an x2APIC, but end with "Bad icount read" when its timer is written by an MSR under -icount.
NO_X2APIC = "max,-x2apic"
REPLAY_MAX = 1000  # kernel/param/cmdline.h has room for a little more
CMDLINE_MAX, XEN_CMDLINE_MAX = 2047, 1023  # kernel/param/boot_info.h, and Xen's MAX_GUEST_CMDLINE
PATIENCE = 180  # seconds; see runner.py
OVMF = [Path("/usr/share/OVMF/OVMF_CODE.fd"), Path("/usr/share/OVMF/OVMF_CODE_4M.fd")]


@dataclass(frozen=True)
class Linux:
    """A Linux in Pteron's place: what boots, beside the initrd, and how the Xen below it is set."""
    kernel: Path
    words: str  # its command line
    xen: str = FAST_XEN


@dataclass
class Config:
    """Everything that decides a run."""
    build: Build = field(default_factory=Build)
    on: str = "qemu"
    backend: str = "native"
    cpus: int = 2
    mem: int = 256
    boot: str = "pvh"
    accel: str = "tcg"
    cpu: str = "max"
    suite: str = "default"
    case: str = ""  # of the suites, only the cases of these names
    seed: int = 1
    rounds: int | None = None
    lazy: str = "on"
    tables: str = "on"
    shuffle: bool = False
    append: str = ""
    bug: str = ""  # the seeded one that the build has; tree.build_of() gives it
    initrd: Path | None = None  # instead of the one that was built
    program: tuple[str, ...] = ()  # of the initrd, and its arguments: runs instead of the suites
    patience: int = PATIENCE
    timeout: int | None = None  # seconds for all of the run
    seeds: tuple[int, ...] = ()  # on xl: a domain for each, one after the other, in one boot
    xen: Xen | None = None  # on xen and xl; None: this machine's
    xen_append: str = ""  # more words for its command line
    qemu: Qemu = Qemu(QEMU, QEMU)
    icount: int | None = None  # shift: instructions are the clock, all CPUs in one thread
    qemu_args: tuple[str, ...] = ()  # more of QEMU's own
    iso: Path | None = None  # with boot bios and uefi: this image as it is, instead of one made for this run
    linux: Linux | None = None  # on qemu and xen: this instead of Pteron
    kernel: str = PTERON  # as --kernel names it; any other is judged: `linux` is that kernel, and runs the ring-3 suites
    kernel_append: str = ""  # more words for its command line

    @property
    def judged(self) -> bool:
        """Another kernel runs Pteron's ring-3 suites."""
        return self.kernel != PTERON

    def _judged_arguments(self) -> list[str]:
        args = ["--kernel", self.kernel, "--on", self.on, "--cpus", str(self.cpus), "--mem", str(self.mem),
                "--suite", self.suite, "--seed", str(self.seed)]
        if self.rounds:
            args += ["--rounds", str(self.rounds)]
        if self.cpu != "max":
            args += ["--cpu", self.cpu]
        args += ["--parallel"] if self.icount is None else ["--icount", str(self.icount)]
        if self.kernel_append:
            args += ["--kernel-append", self.kernel_append]
        if self.patience != PATIENCE:
            args += ["--patience", str(self.patience)]
        if self.timeout:
            args += ["--timeout", str(self.timeout)]
        return args + self.platform_arguments()

    def arguments(self) -> list[str]:
        """The arguments of `./pteron run` that repeat this run."""
        if self.judged:
            return self._judged_arguments()
        args = ["--on", self.on, "--backend", self.backend, "--cpus", str(self.cpus),
                "--mem", str(self.mem), "--boot", self.boot, "--accel", self.accel,
                "--suite", self.suite, "--seed", str(self.seed), "--lazy", self.lazy]
        if self.case:
            args += ["--case", self.case]
        if self.tables != "on":
            args += ["--tables", self.tables]
        if self.shuffle:
            args += ["--shuffle"]
        if self.rounds:
            args += ["--rounds", str(self.rounds)]
        if not self.build.debug:
            args += ["--release"]
        if self.cpu != "max":
            args += ["--cpu", self.cpu]
        if self.build.cc != "gcc":
            args += ["--cc", self.build.cc]
        if self.bug:
            args += ["--bug", self.bug]
        if self.icount is not None:
            args += ["--icount", str(self.icount)]
        if self.append:
            args += ["--append", self.append]
        if self.patience != PATIENCE:
            args += ["--patience", str(self.patience)]
        if self.timeout:
            args += ["--timeout", str(self.timeout)]
        args += self.platform_arguments()
        if self.initrd:
            args += ["--initrd", str(self.initrd)]
        if self.program:
            args += ["--", *self.program]
        return args

    def platform_arguments(self) -> list[str]:
        """Of these, what names another hypervisor and emulator than this machine's, and what these are told."""
        args = ["--xen", self.xen.name] if self.xen and self.xen.name else []
        if self.xen_append:
            args += ["--xen-append", self.xen_append]
        if self.qemu.name != QEMU:
            args += ["--qemu", self.qemu.name]
        return args + [f"--qemu-arg={arg}" for arg in self.qemu_args]

    def replay(self) -> str:
        """The shell command that repeats this run."""
        return "./pteron run " + shlex.join(self.arguments())

    def kind(self) -> str:
        """One text for all runs that differ in their seeds only: what takes the same time."""
        return shlex.join(replace(self, seed=0).arguments())

    def cmdline(self) -> str:
        """The kernel's command line."""
        words = [f"backend={self.backend}", f"suite={self.suite}", f"seed={self.seed}",
                 f"lazy={self.lazy}"]
        if self.case:
            words.append(f"case={self.case}")
        if self.tables != "on":
            words.append(f"tables={self.tables}")
        if self.icount is not None:
            words.append("turns=on")
        if self.shuffle:
            words.append("shuffle=on")
        if self.rounds:
            words.append(f"rounds={self.rounds}")
        if self.append:
            words.append(self.append)
        if self.program:
            words.append(program.word(self.program))
        # A word cannot hold a space: the kernel decodes what is quoted as in a URL.
        replay = "replay=" + quote_plus(shlex.join(self.arguments()), safe="-,=./")
        if len(replay) < REPLAY_MAX and len(" ".join([*words, replay])) <= self.cmdline_max:
            words.append(replay)
        return " ".join(words)

    @property
    def cmdline_max(self) -> int:
        """What the way to boot leaves of a longer line is its beginning."""
        return CMDLINE_MAX if self.on == "qemu" else XEN_CMDLINE_MAX


def _cpu_model(config: Config) -> str:
    if config.cpu == "max" and (config.on != "qemu" or config.judged):
        return boot.CPU
    if config.cpu == "max" and config.icount is not None:
        return NO_X2APIC
    return "host" if config.accel == "kvm" and config.cpu == "max" else config.cpu


def _xen(config: Config, scratch: Path) -> Path:
    """Xen, as QEMU takes it."""
    xen = scratch / "xen"
    xen.write_bytes((config.xen or machines()).elf())
    return xen


def _xen_boot(config: Config, scratch: Path, options: str, kernel: str, module: Path) -> list[str]:
    """Xen, its dom0's @kernel with a command line, and a module; a literal comma is doubled.

    The scheduler is credit: under TCG credit2, the default, sometimes leaves a runnable vCPU in its
    queue while both CPUs idle (8 of 80 runs with 4 vCPUs; with credit none of 103). Free memory is not
    scrubbed: idle CPUs do that for the first second or so, and slow a busy one down fifteenfold."""
    speed = config.linux.xen if config.linux else FAST_XEN
    line = f"com1=115200,8n1 console=com1 loglvl=all guest_loglvl=all {speed} sched=credit bootscrub=0 {options} {config.xen_append}"
    return ["-kernel", str(_xen(config, scratch)), "-append", line,
            "-initrd", f"{kernel.replace(',', ',,')},{module}"]


def _initrd(config: Config, scratch: Path) -> Path:
    """The initrd under a name without commas and blanks, which QEMU would take for its own."""
    link = scratch / "initrd"
    if config.judged:
        link.write_bytes(boot.initramfs(config, scratch))
        return link
    link.symlink_to((config.initrd or config.build.initrd).resolve())
    return link


def _guest(config: Config) -> tuple[Path, str]:
    """What boots: a kernel, and its command line."""
    if config.linux:
        return config.linux.kernel, config.linux.words
    return config.build.image, config.cmdline()


def _dom0_media(config: Config, scratch: Path) -> list[str]:
    """The guest is the dom0."""
    kernel, words = _guest(config)
    most = f",max:{config.mem}M" if config.judged else ""  # a Linux prepares for memory that it may get
    return _xen_boot(config, scratch, f"dom0_mem={config.mem}M{most} dom0_max_vcpus={config.cpus}",
                     f"{kernel} {words}", _initrd(config, scratch))


def _domu_media(config: Config, scratch: Path) -> list[str]:
    """A Linux dom0, which starts the guest with xl."""
    linux, initramfs = dom0.make(config.xen)
    words = {seed: _guest(replace(config, seed=seed))[1] for seed in config.seeds or [config.seed]}
    guest = dom0.Guest(_guest(config)[0], _initrd(config, scratch), words, config.mem, config.cpus)
    with_payload = scratch / "initramfs"
    with_payload.write_bytes(initramfs.read_bytes() + dom0.payload(guest, scratch))
    return _xen_boot(config, scratch, f"dom0_mem={LINUX_MEMORY}M,max:{LINUX_MEMORY}M dom0_max_vcpus=1",
                     f"{linux} console=hvc0 quiet loglevel=3", with_payload)


def _media(config: Config, scratch: Path) -> list[str]:
    if config.on == "xen":
        return _dom0_media(config, scratch)
    if config.on == "xl":
        return _domu_media(config, scratch)
    if config.boot == "pvh":
        kernel, words = _guest(config)
        return ["-kernel", str(kernel), "-append", words, "-initrd", str(_initrd(config, scratch))]
    iso = config.iso or scratch / "pteron.iso"
    if not config.iso:
        make_iso(config.build, iso, config.cmdline(), config.initrd)
    args = ["-cdrom", str(iso)]
    if config.boot == "uefi":
        firmware = next((p for p in OVMF if p.exists()), OVMF[0])
        args += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={firmware}"]
    return args


def _cpus(config: Config) -> int:
    """On Xen the virtual CPUs share two, so that Xen preempts them."""
    return {"qemu": config.cpus, "xen": min(config.cpus, XEN_CPUS), "xl": XEN_CPUS}[config.on]


def _memory(config: Config) -> int:
    return config.mem + {"qemu": 0, "xen": XEN_MEMORY, "xl": XEN_MEMORY + LINUX_MEMORY}[config.on]


def _accel(config: Config) -> list[str]:
    if config.accel == "kvm":
        return ["-accel", "kvm"]
    if config.icount is None:
        return ["-accel", "tcg,thread=multi"]
    # Each part is needed for a run that repeats itself.
    return ["-accel", "tcg", "-icount", f"shift={config.icount},sleep=off",
            "-rtc", "base=2026-01-01,clock=vm", "-seed", "1"]


def _stopped_clock(config: Config) -> list[str]:
    """The host's time of day, by which QEMU adapts the size of its TLBs even under -icount: stopped, or
    what a missing flush leaves in them would depend on how busy the host is."""
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
    if config.icount is None or not library:
        return []
    return ["env", f"LD_PRELOAD={library}", "FAKETIME=2026-01-01 00:00:00", "FAKETIME_DONT_FAKE_MONOTONIC=1"]


def qemu_command(config: Config, scratch: Path, extra: list[str] | None = None) -> list[str]:
    """QEMU, with the console on its standard output and a QMP socket in @scratch. It has no devices but those named
    here: its default network is served in host time, which under -icount changes the turns of the vCPUs."""
    return [*_stopped_clock(config), config.qemu.program, *_accel(config), "-cpu", _cpu_model(config),
            "-smp", str(_cpus(config)), "-m", str(_memory(config)),
            "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
            "-qmp", f"unix:{scratch}/qmp,server=on,wait=off",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
            *_media(config, scratch), *config.qemu_args, *(extra or [])]


def make_scratch() -> Path:
    """A directory for one run; short, because a socket's path is limited."""
    (ROOT / "build").mkdir(exist_ok=True)
    return Path(tempfile.mkdtemp(prefix="pteron-"))


def drop_scratch(scratch: Path) -> None:
    shutil.rmtree(scratch, ignore_errors=True)
