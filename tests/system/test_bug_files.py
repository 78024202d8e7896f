"""The files of seeded bugs (tests/bugs): what is refused, and how they are built."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness import bug_files, catalogue, tree
from harness.bug_files import BugFileError, Edit
from harness.build import BuildError
from harness.catalogue import ROOT
from harness.tree import EditedBuild

HEAD = 'backends = "native xen"\nsuites = "zap,mix"\nprovenance = "nobody\'s"\n'
EDIT = '[[edit]]\nfile = "mm/a.c"\nold = "one"\nnew = "two"\n'


def read(tmp_path: Path, text: str, name: str = "some-bug") -> bug_files.BugFile:
    (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    return bug_files.read(tmp_path / f"{name}.toml")


def test_a_file_is_read(tmp_path):
    bug = read(tmp_path, HEAD + 'link = "https://example.org/1"\nbelow_qemu = "10.0"\n' + EDIT + EDIT.replace("one", "three"))
    assert bug == ("some-bug", ("native", "xen"), "zap,mix", "nobody's", "https://example.org/1",
                   (Edit("mm/a.c", "one", "two"), Edit("mm/a.c", "three", "two")), "10.0")


@pytest.mark.parametrize("text, said", [
    ("backends = ", "Invalid value"), (HEAD, "the file has no edit"), (EDIT, "has no backends, suites, provenance"),
    (HEAD + "colour = 1\n" + EDIT, "the file has colour"), (HEAD.replace('"zap,mix"', "3") + EDIT, "are strings"),
    (HEAD + EDIT.replace("two", "one"), "old and new are the same"), (HEAD + EDIT.replace('"one"', '""'), "edit 1 has no old"),
    (HEAD + EDIT.replace("new", "now"), "edit 1 has"), (HEAD + EDIT.replace('"one"', "1"), "each value is a string"),
    (HEAD + EDIT.replace("[[edit]]", "[edit]"), "not a list"),
    (HEAD + 'link = "http://example.org/1"\n' + EDIT, "link is no https"), (HEAD + 'link = "https://example.org"\n' + EDIT, "link is no https"),
    (HEAD + 'link = ""\n' + EDIT, "link is no https"), (HEAD + 'below_qemu = "10"\n' + EDIT, "below_qemu is no version"),
    (HEAD + 'below_qemu = 10.0\n' + EDIT, "are strings"), (HEAD.replace("nobody's", "nobody's.") + EDIT, "full stop"),
    (HEAD.replace("nobody's", "CVE-2008-1367") + EDIT, "there is no link")])
def test_what_is_wrong_is_named(tmp_path, text, said):
    with pytest.raises(BugFileError, match="some-bug.toml: ") as error:
        read(tmp_path, text)
    assert said in str(error.value)


def test_a_deletion_is_an_edit(tmp_path):
    assert read(tmp_path, HEAD + EDIT.replace('"two"', '""')).edits[0].new == ""


def test_a_bad_name_is_refused(tmp_path):
    with pytest.raises(BugFileError, match="small letters"):
        read(tmp_path, HEAD + EDIT, "Some_Bug")


@pytest.mark.parametrize("edits, said", [
    ((Edit("mm/a.c", "four", ""),), "mm/a.c has no such text"), ((Edit("mm/a.c", "o", ""),), "more than once"),
    ((Edit("mm/b.c", "one", ""),), "no file mm/b.c"), ((Edit("../out", "one", ""),), "no file ../out"),
    ((Edit("mm/a.c", "one t", ""), Edit("mm/a.c", "two", "")), "overlap")])
def test_edits_that_do_not_fit(tmp_path, edits, said):
    (tmp_path / "tree/mm").mkdir(parents=True)
    (tmp_path / "tree/mm/a.c").write_text("one two three\n")
    (tmp_path / "out").write_text("one")
    with pytest.raises(BugFileError, match=said):
        bug_files.apply("x", edits, tmp_path / "tree")
    fitting = (Edit("mm/a.c", "three", "3"), Edit("mm/a.c", "one", "the first"))
    assert bug_files.apply("x", fitting, tmp_path / "tree") == {"mm/a.c": "the first two 3\n"}


def test_unknown_backends_and_suites(tmp_path):
    bug = read(tmp_path, HEAD + EDIT)
    for backends, suites, said in ((["xen"], ["zap", "mix"], "no backend 'native'"),
                                   (["native", "xen"], ["zap"], "no suite 'mix'")):
        with pytest.raises(BugFileError, match=said):
            bug_files.check(bug, ROOT, backends, suites)


def _edited(root: Path, *edits: Edit) -> EditedBuild:
    return EditedBuild(root=root / "tree", bug="x", edits=edits)


SOURCE = (ROOT / "kernel/entry/entry.asm").read_text()
ANYWHERE = (Edit("kernel/entry/entry.asm", SOURCE, SOURCE + "\n\tglobal a_bug_in_assembly\na_bug_in_assembly:\n\tret\n"),
            Edit("linker.ld", "SECTIONS\n", "a_bug_of_the_linker = 0x1234;\nSECTIONS\n"),
            Edit("mm/range/zap.c", '#include "mm/range/zap.h"\n', '#include "mm/range/zap.h"\nint a_bug_in_c = 1;\n'))


def test_edits_reach_every_kind_of_file_and_only_they_are_compiled(tmp_path, debug, monkeypatch):
    """Two at once: one builds, the other finds it built. The third has nothing to do."""
    build = _edited(tmp_path, *ANYWHERE)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(build.make) for _ in range(2)]:
            done.result()
    symbols = subprocess.run(["nm", build.image], capture_output=True, text=True, check=True).stdout
    assert all(f" {name}\n" in symbols for name in ("a_bug_in_assembly", "a_bug_of_the_linker", "a_bug_in_c"))
    assert {p.name for p in build.directory.iterdir()} == {"pteron.elf", "initrd.cpio", "digest"}
    before = build.image.stat().st_mtime_ns
    with monkeypatch.context() as nothing_to_do:
        nothing_to_do.delattr(tree, "refresh")
        build.make()
    assert build.image.stat().st_mtime_ns == before
    assert "a_bug" not in (ROOT / "mm/range/zap.c").read_text()
    assert debug.image.stat().st_mtime_ns < before
    again = _edited(tmp_path, ANYWHERE[2])
    again.make()
    assert again.image.stat().st_mtime_ns > before and (build.root / "kernel/entry/entry.asm").read_text() == SOURCE


def test_a_bug_that_does_not_compile_is_not_taken_for_built(tmp_path):
    build = _edited(tmp_path, ANYWHERE[2]._replace(new="int a = ;\n"))
    for _ in range(2):
        with pytest.raises(BuildError, match="error: expected expression"):
            build.make()


def test_the_front_door_names_the_bug():
    bug = catalogue.bugs()[0]
    done = subprocess.run(["./pteron", "run", "--bug", bug.name, "--suite", "vma", "--accel", "tcg"], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    assert f"building build/bugs/{bug.name}" in done.stderr
    assert f", bug {bug.name}: PASSED" in done.stdout, done.stdout + done.stderr
