"""The kernels that the judge can have: versions, packed files, Debian's archive, and what is said where there is none."""

import bz2
import functools
import gzip
import itertools
import lzma
import os
import struct
import subprocess
from pathlib import Path

import pytest

from harness.catalogue import ROOT
from harness.judge import archive, kernels, unpack, versions

ORDER = ["5.10.262-1", "6.1.170-3", "6.9.1-1", "6.12.9-1", "6.12.107-1~deb12u1", "6.12.107-1", "7.0~rc3-1", "7.0-1",
         "7.0.4-1~bpo13+1", "7.0.4-1", "7.0.13-1", "7.1.3-1", "1:5.0-1"]


def pteron(*args: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(["./pteron", *args], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
                          env={**os.environ, **environment})


# --- versions ---

def test_versions_are_in_debians_order():
    for a, b in itertools.product(ORDER, repeat=2):
        dpkg = subprocess.run(["dpkg", "--compare-versions", a, "lt", b], check=False).returncode == 0
        assert (versions.compare(a, b) < 0) == dpkg == (ORDER.index(a) < ORDER.index(b)), (a, b)


@pytest.mark.parametrize("version, upstream", [("7.0.4-1~bpo13+1", "7.0.4"), ("6.1.170-3", "6.1.170"), ("2:4.17.5+72-g0114-1", "4.17.5")])
def test_upstream(version, upstream):
    assert versions.upstream(version) == upstream


def release(name: str, version: str) -> kernels.Release:
    return kernels.Release(name, version, "sid", False)


RELEASES = [release("6.1.0-47", "6.1.170-3"), release("6.12.107+deb12", "6.12.107-1~deb12u1"), release("6.12.107+deb13", "6.12.107-1"),
            release("7.0.4+deb13", "7.0.4-1~bpo13+1"), release("7.0.13+deb13-rt", "7.0.13-1"), release("7.0.13+deb13", "7.0.13-1"),
            release("7.10.1+deb13", "7.10.1-1")]


@pytest.mark.parametrize("wanted, found", [
    ("7.0.4", "7.0.4+deb13"), ("7.0.4+deb13", "7.0.4+deb13"), ("7.0", "7.0.13+deb13"), ("6.12.107", "6.12.107+deb13"),
    ("6.12.107+deb12", "6.12.107+deb12"), ("6.1.170", "6.1.0-47"), ("6.1.0-47", "6.1.0-47"), ("7.0.13+deb13-rt", "7.0.13+deb13-rt"),
    ("7", "7.10.1+deb13"), ("7.0.13", "7.0.13+deb13"), ("7.1", None), ("7.0.5", None),
])
def test_what_a_version_means(wanted, found):
    chosen = kernels._chosen(RELEASES, wanted)
    assert (chosen and chosen.release) == found


def test_a_refusal_names_the_nearest():
    assert "6.12.107 7.0.4 7.0.13" in kernels._refusal(RELEASES, "7.0.2")


# --- packed files ---

def elf(kind: int = 2, machine: int = 62) -> bytes:
    """A vmlinux with the notes of a PVH guest, and of a PV guest's first instruction."""
    text = b"Linux version 9.9.9-test (somebody)\0".ljust(64, b"\0")
    notes = b"".join(struct.pack("<III", 4, 8, note) + b"Xen\0" + bytes(8) for note in (unpack.NOTE_PVH, unpack.NOTE_PV))
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 4, 4, 120 + len(text), 0, 0, len(notes), len(notes), 4)
    return header + segment + text + notes + bytes(range(256)) * 64


def by_tool(*command: str):
    return lambda data: subprocess.run(command, input=data, capture_output=True, check=True).stdout


PACKERS = {"xz": functools.partial(lzma.compress, check=lzma.CHECK_CRC32), "lzma": functools.partial(lzma.compress, format=lzma.FORMAT_ALONE),
           "gzip": gzip.compress, "bzip2": bz2.compress, "zstd": by_tool("zstd", "-cq"), "lz4": by_tool("lz4", "-clq")}


def bzimage(payload: bytes) -> bytes:
    """As Linux's build makes it: set-up, then the payload, its size last."""
    setup = bytearray(3 * 512)
    setup[0x1f1] = 2
    setup[0x202:0x206] = b"HdrS"
    payload += struct.pack("<I", len(payload))
    struct.pack_into("<II", setup, 0x248, 64, len(payload))
    return bytes(setup) + bytes(64) + payload


@pytest.mark.parametrize("packer", PACKERS)
def test_unpack(packer):
    found = unpack.vmlinux(bzimage(PACKERS[packer](elf())))
    assert found == elf()
    assert unpack.version(found) == "9.9.9-test" and unpack.notes(found) == {unpack.NOTE_PV, unpack.NOTE_PVH}


NO_KERNELS = {
    "text": (b"hello\n" * 500, "neither a bzImage nor a vmlinux"),
    "short": (b"HdrS", "neither a bzImage nor a vmlinux"),
    "unknown": (bzimage(b"\x89LZO" + bytes(100)), "packed in a way that is not known"),
    "cut": (bzimage(gzip.compress(elf()))[:-100], "is cut off"),
    "damaged": (bzimage(gzip.compress(elf())[:200]), "is damaged"),
    "zstd-damaged": (bzimage(PACKERS["zstd"](elf())[:100]), "is damaged"),
    "no-elf": (bzimage(gzip.compress(b"text" * 100)), "is damaged"),
    "a-program": (elf(kind=3), "no kernel for x86-64"),
    "another-machine": (elf(machine=183), "no kernel for x86-64"),
}


@pytest.mark.parametrize("name", NO_KERNELS)
def test_a_file_that_is_no_kernel(tmp_path, monkeypatch, name):
    data, words = NO_KERNELS[name]
    (tmp_path / "file").write_bytes(data)
    monkeypatch.setenv("PTERON_CACHE", str(tmp_path / "cache"))
    with pytest.raises(kernels.KernelError) as error:
        kernels.get(str(tmp_path / "file"))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_file(tmp_path, monkeypatch):
    """Unpacked once; one that lacks what a place needs is refused there."""
    (tmp_path / "bzImage").write_bytes(bzimage(gzip.compress(elf())))
    monkeypatch.setenv("PTERON_CACHE", str(tmp_path / "cache"))
    kernel = kernels.get(str(tmp_path / "bzImage"))
    assert kernel.release == "9.9.9-test" and kernel.image.read_bytes() == elf() and kernel == kernels.get(kernel.name)
    kernels.check(kernel, "qemu")
    kernels.check(kernel, "xen")
    (tmp_path / "vmlinux").write_bytes(elf().replace(struct.pack("<III", 4, 8, unpack.NOTE_PV), struct.pack("<III", 4, 8, 7)))
    kernels.check(kernels.get(str(tmp_path / "vmlinux")), "qemu")
    with pytest.raises(kernels.KernelError, match="CONFIG_XEN_PV"):
        kernels.check(kernels.get(str(tmp_path / "vmlinux")), "xen")


# --- the archive ---

SOURCES = {
    "debian.sources": "# a comment\nTypes: deb\nURIs: http://mirror.invalid/debian\nSuites: bookworm bookworm-updates\nComponents: main\n"
                      "Signed-By:\n /usr/share/keyrings/debian-archive-keyring.gpg\n\nTypes: deb\nURIs: http://mirror.invalid/security\n"
                      "Suites: bookworm-security\nComponents: main contrib\n",
    "debian.list": "# deb http://no.invalid/debian bookworm main\ndeb [arch=amd64 signed-by=/a/key.gpg] http://mirror.invalid/debian bookworm main\n"
                   "deb http://mirror.invalid/security bookworm-security main\n",
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_mirror_is_the_machines(tmp_path, monkeypatch, name):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "another.list").write_text("deb http://other.invalid/apt stuff-bookworm main\n")
    (tmp_path / "sources.list.d" / name).write_text(SOURCES[name])
    monkeypatch.setattr(archive, "SOURCES", tmp_path)
    found = archive._mirrors()
    assert found[False]["uris"] == "http://mirror.invalid/debian" and found[True]["uris"] == "http://mirror.invalid/security"
    assert found[False]["signed-by"].strip().endswith(".gpg")



def test_no_mirror(tmp_path):
    done = pteron("list", "kernels", PTERON_CACHE=str(tmp_path), PTERON_APT_SOURCES=str(tmp_path))
    assert done.returncode == 0 and "names no mirror of Debian" in done.stdout


def test_no_network(tmp_path, monkeypatch):
    """A port of this machine where nobody listens, as a proxy."""
    monkeypatch.setenv("PTERON_CACHE", str(tmp_path))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(archive.ArchiveError, match="is there a network") as error:
        kernels.find("7.0.4")
    assert "\n" not in str(error.value)
    assert kernels.cached() == []


def test_what_was_fetched_needs_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("PTERON_CACHE", str(tmp_path))
    monkeypatch.setattr(archive, "SOURCES", Path("/nowhere"))
    kept = tmp_path / "kernels/7.0.4+deb13"
    kept.mkdir(parents=True)
    (kept / "vmlinux").write_bytes(elf())
    (kept / "package.json").write_text('{"name": "linux-binary-7.0.4+deb13-amd64", "version": "7.0.4-1~bpo13+1", "suite": "trixie-backports"}')
    assert kernels.get("linux-7.0.4").name == "linux-7.0.4+deb13"
    (kept / "vmlinux").unlink()  # what is not whole does not count
    with pytest.raises(archive.ArchiveError):
        kernels.get("linux-7.0.4")
