"""Another emulator than this machine's: what --qemu names, how a fetched one is started, and Pteron in it."""

import json
import subprocess
from pathlib import Path

import pytest

from harness.judge import archive, qemus
from harness.judge.survey import Platform
from harness.machine import Config, drop_scratch, make_scratch, qemu_command

PACKAGES = [archive.Package("qemu-system-x86", version, suite) for version, suite in
            (("1:7.2+dfsg-7+deb12u18+b3", "bookworm"), ("1:10.0.2+ds-2+deb13u1", "trixie-security"), ("1:10.0.13+ds-0+deb13u1", "trixie"),
             ("1:11.1.3+ds-1", "sid"))]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PTERON_CACHE", str(tmp_path))
    monkeypatch.setattr(archive, "packages", lambda pattern, fresh=False: PACKAGES)
    return tmp_path


@pytest.mark.parametrize("wanted, version", [
    ("10.0", "1:10.0.13+ds-0+deb13u1"), ("10", "1:10.0.13+ds-0+deb13u1"), ("10.0.2", "1:10.0.2+ds-2+deb13u1"), ("7.2", "1:7.2+dfsg-7+deb12u18+b3"),
    ("10.0.2+ds-2+deb13u1", "1:10.0.2+ds-2+deb13u1"), ("1:11.1.3+ds-1", "1:11.1.3+ds-1"), ("11.2", None), ("1", None)])
def test_what_a_version_means(cache, wanted, version):
    assert qemus.SHELF.is_version(wanted) == ("." in wanted)
    if version:
        assert qemus.SHELF.find(wanted).package.version == version
    else:
        with pytest.raises(qemus.QemuError, match=r"there are: 7\.2 10\.0 11\.1 \(\./pteron list qemus"):
            qemus.SHELF.find(wanted)


def test_the_list(cache):
    """What was fetched is named as such."""
    kept = cache / "qemus/10.0.13+ds-0+deb13u1"
    kept.mkdir(parents=True)
    (kept / "package.json").write_text(json.dumps({"name": "qemu-system-x86", "version": PACKAGES[2].version, "suite": "trixie"}))
    rows = [line.split() for line in qemus.table()]
    assert rows[3] == ["10.0", "1:10.0.13+ds-0+deb13u1", "trixie", "yes"] and rows[4][-1] == "sid"
    assert rows[-1][:3] == ["without", "--qemu:", "QEMU"]


@pytest.fixture
def unpacked(tmp_path):
    """A QEMU below a folder as that of a package, with this machine's files."""
    root = tmp_path / "a root"
    for path in ("usr/share", *qemus.FOLDERS):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to("/" + path)
    (root / "usr/bin").mkdir()
    (root / "usr/bin" / qemus.QEMU).write_bytes(open(f"/usr/bin/{qemus.QEMU}", "rb").read())
    starter = tmp_path / "bin" / qemus.QEMU
    starter.parent.mkdir()
    starter.write_text(qemus._starter(root))
    starter.chmod(0o755)
    return qemus.Qemu("9.9", str(starter))


def test_it_is_started_by_its_own_loader(boot, unpacked):
    """With its own libraries and firmware, and with the stopped clock of a run that repeats itself."""
    result = boot(cpus=1, mem=128, suite="vma", icount=4, qemu=unpacked)
    assert result.verdict == "passed" and " --qemu 9.9" in result.config.replay()
    assert result.as_json()["qemu"].startswith("QEMU emulator version")


def test_its_stopped_clock_is_its_own(unpacked):
    """Only where one is asked for."""
    told = [subprocess.run(["sh", "-c", Path(unpacked.program).read_text().replace("exec ", "echo $LD_PRELOAD; exit # ")], env=env,
                           capture_output=True, text=True, check=True).stdout.strip() for env in ({}, {"LD_PRELOAD": "libc.so.6"})]
    assert told[0] == "" and told[1].endswith("/a root/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


def test_its_complaints_are_its_own(boot, unpacked):
    assert boot(cpus=1, cpu="Nothing", suite="vma", qemu=unpacked).verdict == "unstarted"


@pytest.mark.parametrize("icount, cpu, wanted", [(4, "max", "max,-x2apic"), (None, "max", "max"), (4, "EPYC", "EPYC")])
def test_no_x2apic_where_it_would_end_the_run(debug, icount, cpu, wanted):
    scratch = make_scratch()
    command = qemu_command(Config(build=debug, icount=icount, cpu=cpu), scratch)
    drop_scratch(scratch)
    assert command[command.index("-cpu") + 1] == wanted


def test_a_platform_is_named_by_it():
    assert Platform("xen", xen="4.20", qemu="11.1").name == "xen 4.20, QEMU 11.1"
    assert Platform("qemu", qemu="/usr/local/my-qemu").name == "qemu, my-qemu"


@pytest.mark.long
@pytest.mark.parametrize("series", ["5.2", "10.0", "11.1"])
@pytest.mark.parametrize("on", ["qemu", "xen"])
def test_debians_other_qemus(boot, on, series):
    try:
        qemu = qemus.get(series)
    except archive.ArchiveError as error:
        pytest.skip(str(error))
    result = boot(on=on, backend="native" if on == "qemu" else "xen", cpus=2, suite="pv,lazy_mmu,zap", rounds=2, icount=4, qemu=qemu)
    assert result.verdict == "passed" and result.as_json()["qemu"].startswith(f"QEMU emulator version {series}")
