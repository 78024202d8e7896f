"""A debug build of the hypervisor with performance counters, from Debian's source package.

It is of the series that the machine boots. The newest source may be missing from the archive that the machine uses; any
of the series will do."""

import os
import re
import shutil
from functools import partial
from pathlib import Path

from .build import BuildError, locked, run_checked
from .catalogue import ROOT
from .judge import versions, xens

DIRECTORY = ROOT / "build/xen-debug"
OPTIONS = ["EXPERT", "UNSUPPORTED", "DEBUG", "PERF_COUNTERS", "PERF_ARRAYS", "SHADOW_PAGING", "VERBOSE_DEBUG"]


_run = partial(run_checked, cwd=DIRECTORY)


def _apt_options() -> list[str]:
    """apt with lists of its own, because the machine's need not name sources."""
    lists = DIRECTORY / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    return ["-o", f"Dir::Etc::sourcelist={DIRECTORY}/sources.list", "-o", "Dir::Etc::sourceparts=-",
            "-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={DIRECTORY}/cache"]


def _write_sources() -> None:
    """The sources of what the machine's binaries come from."""
    targets = _run("apt-get", "indextargets", "--format", "$(REPO_URI) $(CODENAME) $(COMPONENT) $(LABEL)",
                   "Created-By: Packages")
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    lines = sorted({f"deb-src [signed-by={keyring}] {uri} {codename} {component}"
                    for uri, codename, component, label in
                    (line.split(maxsplit=3) for line in targets.splitlines() if line.count(" ") >= 3)
                    if label.startswith("Debian")})
    (DIRECTORY / "sources.list").write_text("\n".join(lines) + "\n")


def _fetch() -> Path:
    series = xens.machines().series
    _write_sources()
    _run("apt-get", *_apt_options(), "update", "-q")
    found = re.findall(rf"^Version: ({re.escape(series)}\.\S+)", _run("apt-cache", *_apt_options(), "showsrc", "xen"), re.M)
    error = BuildError(f"apt knows no source of Xen {series}")
    for version in sorted(found, key=versions.key, reverse=True):
        try:
            _run("apt-get", *_apt_options(), "source", "-q", "--download-only", f"xen={version}")
            break
        except BuildError as missing:
            error = missing
    else:
        raise error
    source = DIRECTORY / "source"
    shutil.rmtree(source, ignore_errors=True)
    _run("dpkg-source", "--no-check", "-x", str(next(DIRECTORY.glob(f"xen_{series}*.dsc"))), str(source))
    return source / "xen"


def _make(image: Path, say) -> None:
    say("pteron: building a debug Xen from Debian's source, once; that takes a minute or two")
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    source = _fetch()
    _run("make", "-s", "defconfig", cwd=source)
    with (source / ".config").open("a", encoding="ascii") as config:
        config.writelines(f"CONFIG_{option}=y\n" for option in OPTIONS)
    _run("make", "-s", "olddefconfig", cwd=source)
    _run("make", "-s", f"-j{os.cpu_count()}", "build", cwd=source)
    shutil.copy2(source / "xen.gz", image)
    shutil.rmtree(source)


def make(say=print) -> xens.Xen:
    """Build it, unless it is there."""
    image = DIRECTORY / "xen.gz"
    with locked(DIRECTORY.with_name(".xen-debug.lock")):
        if not image.exists():
            _make(image, say)
    return xens.of_file(image)
