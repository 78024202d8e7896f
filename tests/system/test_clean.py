"""./pteron clean: what it removes, and whose files it cannot."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness.catalogue import ROOT
from harness.tree import SOURCES

AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture
def tree():
    """The front door and its harness, where any user may look; with something that was built."""
    top = Path(tempfile.mkdtemp(prefix="pteron-clean-"))
    top.chmod(0o755)
    for name in ["pteron", *SOURCES]:
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, top / name)
    (top / "build/gcc-debug").mkdir(parents=True)
    (top / "build/gcc-debug/pteron.elf").write_text("built")
    yield top
    shutil.rmtree(top)


def clean(tree, *before):
    return subprocess.run([*before, "./pteron", "clean"], cwd=tree, capture_output=True, text=True, check=False, timeout=60)


def test_clean(tree):
    for _ in range(2):  # nothing to remove is no failure
        done = clean(tree)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "") and not (tree / "build").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of somebody else")
def test_another_users_files(tree):
    """It says which file, whose they are, and who can remove them; and fails."""
    done = clean(tree, *AS_NOBODY)
    assert done.returncode == 125, done.stderr
    assert done.stderr == "pteron: build/gcc-debug/pteron.elf: Permission denied; its folder belongs to root, who can ./pteron clean\n"
    assert (tree / "build/gcc-debug/pteron.elf").exists()
