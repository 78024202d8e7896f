"""The documents that are made from the code say what the code does."""

import shutil
import subprocess

import pytest

from harness import against_figures, comparison, figures, goals, syscalls
from harness.catalogue import ROOT


# Place and operation of which Pteron's dearest single call takes more than twice Linux 7.3.4's.
KNOWN_DEAR = {("xen", "cow_first_write"), ("xen", "cow_copy")}


@pytest.fixture
def tree(tmp_path):
    """The sources that docs/syscalls.md is made of."""
    for folder in ("kernel", "mm"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_syscalls_are_the_tables(tree):
    text = syscalls.document(tree)
    assert text == (ROOT / syscalls.DOCUMENT).read_text(encoding="utf-8")
    assert "| `madvise` (28) |" in text and "`openat`" in text.split("## Not there")[1]


@pytest.mark.parametrize("file, old, new, said", [
    (syscalls.TABLE, '[getsid]\ndoes = "as on Linux"\n', "", "[getsid] is missing"),
    (syscalls.TABLE, "[getsid]", "[openat]", "[openat] is defined nowhere"),
    (syscalls.TABLE, 'refuses = "handlers (ENOSYS)"\n', "", "[rt_sigaction] does not say"),
    ("kernel/process/ids.c", "SYSCALL_DEFINE1(getsid, int, pid)", "static long getsid(int pid)", "[getsid] is defined nowhere"),
    ("mm/space/mmap_change.c", 'unsupported(EINVAL, "madvise', 'unsupported(EPERM, "madvise', "[madvise] does not say"),
])
def test_syscalls_that_differ_are_refused(tree, file, old, new, said):
    edit(tree / file, old, new)
    with pytest.raises(syscalls.SyscallsError) as error:
        syscalls.document(tree)
    assert said in str(error.value)


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """The figures' files and the documents, as copies."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "README.md", tmp_path)
    monkeypatch.setattr(figures, "FOLDER", tmp_path / "docs/figures")
    monkeypatch.setattr(figures, "TOP", tmp_path)
    return tmp_path


def test_figures_are_those_of_the_files(recorded):
    assert all(old == new for old, new in figures.documents().values())


@pytest.mark.parametrize("file, old, new, stale", [
    ("docs/figures/run.json", '"page faults', '"page faults 1', "README.md"),
    ("docs/figures/against.json", ', 6.1.0-', ', 6.2.0-', "docs/benchmarks.md"),
    ("README.md", "Seeded into the kernel, 1", "Seeded into the kernel, 9", "README.md"),
    ("README.md", "in no row", "in one row", "README.md"),
    ("docs/proof.md", "    all                          170", "    all                          171", "docs/proof.md"),
])
def test_figures_that_differ_are_refused_and_written_anew(recorded, file, old, new, stale):
    edit(recorded / file, old, new)
    assert [name for name, (was, now) in figures.documents().items() if was != now] == [stale]
    assert figures.main(["--check"]) == 1
    assert figures.main([]) == 0 and figures.main(["--check"]) == 0


def test_a_sentence_without_its_number_is_an_error(recorded):
    edit(recorded / "README.md", "Seeded into the kernel,", "Put into the kernel,")
    assert figures.main([]) == 1


def test_a_line_that_no_run_reaches_and_without_a_reason_is_an_error(recorded, capsys):
    edit(recorded / "docs/figures/coverage.json", '"mm/frame/early.c:early_alloc"', '"mm/frame/early.c:early_other"')
    assert figures.main([]) == 1
    said = capsys.readouterr().err
    assert "no reason in coverage-unreached.txt: mm/frame/early.c:early_other" in said and "it is gone: mm/frame/early.c:early_alloc" in said


def test_mutants_are_merged(recorded):
    """What was run again is replaced, by backend; all else stays."""
    before = figures.read("mutants")["bugs"]
    row = {"bug": "no-recheck", "backend": "xen", "suites": "fault", "caught": 19, "seeds": 20, "oracle": "a case", "page_faults": 5,
           "replay": "", "replays": 3, "identical": 3}
    figures.merge_mutants([row, {**row, "bug": "", "caught": 0}])
    after = figures.read("mutants")["bugs"]
    assert after["no-recheck"]["caught"] == {**before["no-recheck"]["caught"], "xen": 19}
    assert {name for name in after if after[name] != before[name]} == {"no-recheck"}


def test_operators_are_counted_by_folder(recorded):
    rows = [{"file": "mm/lazy/a.c", "outcome": "killed"}, {"file": "mm/lazy/b.c", "outcome": "survived"}, {"file": "boot/c.c", "outcome": "killed"}]
    figures.record_operators(rows, {"sample": 2}, ["killed", "survived"], 4000)
    text = figures.documents()["docs/proof.md"][1].partition("## Mutants that nobody chose")[2]
    assert "at some 4,000 places" in text and "`./pteron operators --sample 2` of " in text and ", 3 of 4,000 mutants:" in text
    assert [line.split() for line in text.splitlines() if line.startswith(("    mm/lazy ", "    all "))] == [
        ["mm/lazy", "1", "1"], ["all", "2", "1"]]


def test_a_comparison_keeps_what_the_table_has(recorded):
    data = figures.read("against")
    one = next(f for f in data["figures"] if f["name"] == "munmap")
    others = [{**one, "pages": 16}, {**one, "mapped": 1}, {**one, "threads": 2}, {**one, "name": "boot_seconds", "pages": 0}]
    figures.record_bench("against", {**data, "figures": [*others, one], "runs": [{}]})
    assert "runs" not in figures.read("against")
    assert sorted(map(against_figures._identity, figures.read("against")["figures"])) == sorted(map(against_figures._identity, data["figures"]))


def test_what_is_measured_again_takes_the_place_of_the_same(recorded):
    """Of one side, place and row. All else stays with its date, unless it was measured in another way."""
    data = figures.read("against")
    one = next(f for f in data["figures"] if f["side"] == "pteron" and f["name"] == "munmap")
    new = {**data, "figures": [{**one, "value": 1.5}]}
    merged = against_figures.merged(data, new, "2099-01-01")
    assert len(merged["figures"]) == len(data["figures"])
    assert [f for f in merged["figures"] if f not in data["figures"]] == [{**one, "value": 1.5, "date": "2099-01-01"}]
    assert "Of 2099-01-01 to" not in against_figures.block(merged) and " to 2099-01-01: " in against_figures.block(merged)
    other = {**new, "configuration": {**data["configuration"], "counted": "2 vCPUs"}}
    assert against_figures.merged(data, other, "2099-01-01")["figures"] == [{**one, "value": 1.5, "date": "2099-01-01"}]


def rows_of(place: str, side: str) -> dict[tuple[str, str], dict]:
    return {(f["name"], f["layout"]): f for f in figures.read("against")["figures"] if (f["place"], f["side"]) == (place, side)}


@pytest.mark.parametrize("place", ["qemu", "xen"])
def test_the_table_has_every_kernel_in_every_row(place):
    """Pteron, the newest Linux at its best and with its defaults, and 6.1; of 7.3.4, nothing else ran beside the program: then a page
    costs the same wherever it is touched."""
    sides = dict.fromkeys(f["side"] for f in figures.read("against")["figures"])
    assert list(sides)[:3] == ["pteron", "linux-7.3.4", "linux-7.3.4-defaults"] and list(sides)[3].startswith("linux-6.1")
    ours, linux = rows_of(place, "pteron"), rows_of(place, "linux-7.3.4")
    assert all(rows_of(place, side).keys() == ours.keys() for side in sides)
    assert linux["touch", "aligned"]["value"] == pytest.approx(linux["touch", "permuted"]["value"], rel=0.05)


@pytest.mark.parametrize("place", ["qemu", "xen"])
def test_the_table_has_the_dearest_call_of_each_row(place):
    """A fault is less than all of them and no less than their mean; anything else no less than the median."""
    for side in ("pteron", "linux-7.3.4"):
        for (name, layout), f in rows_of(place, side).items():
            if name.endswith("_marginal") or name == "boot":
                continue
            if name not in comparison.ONE_BY_ONE:
                assert f["worst"] >= round(f["value"] * (1 if name in comparison.WHOLE else f["pages"] or 1)) - 1, (side, name, layout)
            elif f["pages"]:
                whole_table = (name, side) == ("cow_reuse", "pteron")  # one fault, then none
                assert whole_table or f["value"] * 0.8 < f["worst"] < f["value"] * f["pages"], (side, name, layout)


def test_what_is_dearer_than_twice_linux_is_known():
    """A row that joins these is to be made cheaper, or to be explained here and in docs/benchmarks.md."""
    assert {(place, row.split()[0]) for place, row in against_figures.too_dear(figures.read("against"))} <= KNOWN_DEAR


def test_a_dear_call_is_marked(recorded):
    """In the table, and by name below it."""
    data = figures.read("against")
    for f in data["figures"]:
        f["worst"] = {"pteron": 201, "linux-7.3.4": 100 if f["name"] == "munmap" else 101}.get(f["side"])
    text = against_figures.block(data)
    assert {line.split()[0] for line in text.splitlines() if "201!" in line} == {"munmap"}
    assert "times Linux 7.3.4's in: `munmap aligned`, `munmap unaligned`, `munmap sparse2`, `munmap sparse8`.\n" in text


def test_no_floor_is_above_its_row():
    """And each row that is measured alone has one."""
    for f in figures.read("against")["figures"]:
        if f["side"] == "pteron" and f["floor"]:
            assert f["floor"] < f["value"], f
    assert {f["name"] for f in figures.read("against")["figures"] if f["side"] == "pteron" and f["floor"]} >= {
        "touch", "read_touch", "cow_copy", "cow_first_write", "munmap", "fork", "getppid", "populate", "munmap_touched_gib"}


def test_what_is_above_its_floor_is_marked_in_the_table():
    data = figures.read("against")
    text = against_figures.block(data).partition("    Xen, per page")
    above = {place: [" ".join((f["name"], f["layout"])).strip() for f in data["figures"] if f["place"] == place and f["side"] == "pteron"
                     and f["floor"] and f["value"] / f["floor"] > most] for place, most in goals.FLOOR_MOST.items()}
    for place, part in (("qemu", text[0]), ("xen", text[2])):
        marked = [line[4:34].strip() for line in part.splitlines() if line.startswith("    ") and "+ " in line]
        assert sorted(marked) == sorted(above[place])


@pytest.mark.parametrize("args", [["bench", "--pages", "512"], ["run", "--record", "--seeds", "2"], ["bench", "--record"], ["bench", "--record", "--contention", "--on", "xen"]])
def test_what_has_no_place_is_not_recorded(args):
    done = subprocess.run(["./pteron", *args], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and ("--record" in done.stderr or "--pages" in done.stderr)
