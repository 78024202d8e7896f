"""Other Xens and another emulator than this machine's: what names them, what is refused, and Pteron on them."""

import dataclasses
import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.catalogue import ROOT
from harness.judge import archive, xens


def pteron(*args: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(["./pteron", *args], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
                          env={**os.environ, **environment})


def installed(folder: Path, *series: str) -> None:
    for name in series:
        (folder / f"xen-{name}-amd64.gz").write_bytes(gzip.compress(b"\x7fELF Xen version %d.%d%s"))
    (folder / "xen-4.99-amd64.efi").touch()


def test_the_newest_is_this_machines(tmp_path, monkeypatch):
    """By the order of versions, not of text."""
    monkeypatch.setattr(xens, "BOOT", tmp_path)
    installed(tmp_path, "4.9", "4.17", "4.20")
    assert xens.machines().series == "4.20"
    assert xens.machines().elf().startswith(b"\x7fELF")


def test_no_xen_is_installed(tmp_path, monkeypatch):
    monkeypatch.setattr(xens, "BOOT", tmp_path)
    with pytest.raises(xens.XenError, match="apt-get install xen-hypervisor"):
        xens.machines()


PACKAGES = [archive.Package(f"xen-hypervisor-{series}-amd64", version, suite) for series, version, suite in
            (("4.9", "4.9.2-1", "sid"), ("4.17", "4.17.5+72-g01-1", "bookworm"), ("4.17", "4.17.7+13-g24-0+deb12u1", "bookworm-security"),
             ("4.20", "4.20.4+63-g7a-1", "trixie"))]


@pytest.mark.parametrize("wanted, version", [
    ("4.17", "4.17.7+13-g24-0+deb12u1"), ("4.17.5", "4.17.5+72-g01-1"), ("4.17.5+72-g01-1", "4.17.5+72-g01-1"),
    ("4.9", "4.9.2-1"), ("4", "4.20.4+63-g7a-1"), ("4.1", None), ("4.18", None)])
def test_what_a_version_means(tmp_path, monkeypatch, wanted, version):
    monkeypatch.setenv("PTERON_CACHE", str(tmp_path))
    monkeypatch.setattr(archive, "packages", lambda pattern, fresh=False: PACKAGES)
    if version:
        assert xens.SHELF.find(wanted).package.version == version
    else:
        with pytest.raises(xens.XenError, match=r"there are: 4\.9 4\.17 4\.20 "):
            xens.SHELF.find(wanted)


def test_the_list_without_a_network(tmp_path, monkeypatch):
    """Says why, and has what was fetched."""
    def unreachable(pattern, fresh=False):
        raise archive.ArchiveError("no network")
    monkeypatch.setenv("PTERON_CACHE", str(tmp_path))
    monkeypatch.setattr(archive, "packages", unreachable)
    fetched = tmp_path / "xens/4.17.5+72-g01-1"
    fetched.mkdir(parents=True)
    (fetched / "package.json").write_text(json.dumps(dataclasses.asdict(PACKAGES[1])))
    head, why, row, _ = xens.table()
    assert head.startswith("--xen") and why == "(no network)" and row.split() == ["4.17", "4.17.5+72-g01-1", "bookworm", "yes"]


NO_XENS = {"text": (b"hello\n", "is no ELF file"), "program": (Path("/bin/true").read_bytes(), "but no Xen"),
           "cut": (gzip.compress(os.urandom(1 << 16))[:-100], "is damaged"), "efi": (b"MZ" + bytes(100), "not xen.efi")}


@pytest.mark.parametrize("name", NO_XENS)
def test_a_file_that_is_no_xen(tmp_path, name):
    data, words = NO_XENS[name]
    (tmp_path / "file").write_bytes(data)
    done = pteron("run", "--on", "xen", "--xen", str(tmp_path / "file"))
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr


REFUSED = {
    "--xen 4.14": "goes with --on xen", "--xen-append sync_console": "goes with --on xen", "--on xen --xen nothing": "no file has that name",
    "--on xen --xen ./nothing": "No such file", "--qemu nothing": "there is no such program",
}


@pytest.mark.parametrize("options", REFUSED)
def test_refusals(options):
    done = pteron("run", *options.split())
    assert done.returncode == 2 and REFUSED[options] in done.stderr and "Traceback" not in done.stderr


def test_a_xen_of_ones_own(tmp_path):
    """The file runs, and the replay line names it; what is told to Xen reaches it, and a CPU model is QEMU's."""
    own = tmp_path / "my xen.gz"
    shutil.copy(xens.machines().image, own)
    done = pteron("run", "--deterministic", "--on", "xen", "--xen", str(own), "--xen-append", "sched=credit2", "--cpu", "Nehalem", "--suite", "pv",
                  "--json", str(tmp_path / "json"))
    assert done.returncode == 0, done.stdout
    assert f"--cpu Nehalem --icount 4 --xen '{own}' --xen-append sched=credit2" in (tmp_path / "json").read_text()
    assert "Using scheduler: SMP Credit Scheduler rev2" in done.stdout


def test_a_xen_that_does_not_boot():
    """It says so, and what it said stays; nothing passes."""
    done = pteron("run", "--icount", "8", "--on", "xen", "--xen-append", "dom0_mem=8M", "--suite", "pv")  # Xen counts five seconds
    assert done.returncode == 3 and "Domain 0 allocation is too small" in done.stdout


def test_an_emulator_of_ones_own(tmp_path):
    """Also one that does not start: it is the tool's trouble, whatever its name."""
    own = tmp_path / "my-qemu"
    own.write_text('#!/bin/sh\necho "my-qemu: I do not start" >&2\nexit 1\n')
    own.chmod(0o755)
    done = pteron("run", "--qemu", str(own), "--suite", "pv", "--accel", "tcg")
    assert done.returncode == 125 and "I do not start" in done.stdout
    own.write_text('#!/bin/sh\nexec qemu-system-x86_64 "$@"\n')
    assert pteron("run", "--qemu", str(own), "--suite", "pv", "--accel", "tcg").returncode == 0


def have(series: str) -> xens.Xen:
    """Debian's Xen of that series, which may have to be fetched."""
    try:
        return xens.get(series)
    except archive.ArchiveError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("series", ["4.14", pytest.param("4.20", marks=pytest.mark.long)])
def test_debians_other_xens(boot, series):
    """dom0 on the oldest; the newest is for --long."""
    xen = have(series)
    result = boot(on="xen", backend="xen", cpus=2, suite="pv,pin,fault,tlb", rounds=4, icount=4, xen=xen)
    assert result.verdict == "passed" and result.output.xen.startswith(series)


@pytest.mark.long
@pytest.mark.parametrize("series", ["4.14", "4.20"])
def test_a_domain_by_its_own_tools(boot, series):
    result = boot(on="xl", backend="xen", cpus=2, suite="pv,fault", rounds=4, icount=4, xen=have(series))
    assert result.verdict == "passed" and result.output.xen.startswith(series)
