"""What a chart of the benchmark promises its reader: a question, what was measured and nothing else, of when and in which unit."""

import re
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib", reason="charts need python3-matplotlib")

from harness import bench_report, charts  # pylint: disable=wrong-import-position  # behind the skip
from harness.against import Key, Run  # pylint: disable=wrong-import-position
from harness.comparison import Value  # pylint: disable=wrong-import-position

ABOUT = {"date": "2026-01-02", "commit": "abc1234"}
PAGED = {Key(name, pages, "aligned"): Value(1000 / pages + 10) for name in ("touch", "munmap") for pages in (1, 16, 512)}
MAPPED = {Key("munmap", 1, mapped=mapped): Value(100.0) for mapped in (512, 4096)}
RATES = {Key("faults_disjoint_speedup", threads=n): Value(0.9 * n) for n in (2, 3)}
ALL = {("qemu", "pteron"): PAGED | MAPPED | RATES, ("qemu", "linux-7.3.4"): PAGED}


def texts(path) -> list[str]:
    """All that is written in a chart."""
    return [("".join(e.itertext())).strip() for e in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def words(path) -> list[str]:
    """The same, whatever pieces the digits of a number are drawn in."""
    return ["".join(text.split()) for text in texts(path)]


def drawn(values, folder) -> dict[str, list[str]]:
    return {path.name: texts(path) for path in charts.draw(values, folder, ABOUT)}


def test_each_asks_and_says_what_it_is_of(tmp_path):
    found = drawn(ALL, tmp_path)
    assert set(found) == {f"bench-{name}.svg" for name in ("scale", "operations-qemu", "sizes-qemu", "mapped-qemu")}
    for said in found.values():
        assert sum(text.endswith("?") for text in said) == 1
        assert any(text.endswith("2026-01-02, commit abc1234") for text in said)
        assert any("less is better" in text or "more is better" in text for text in said)


def test_only_what_was_measured(tmp_path):
    """No side in the legend, no panel and no row that has no figure."""
    found = drawn(ALL, tmp_path)
    operations, sizes = found["bench-operations-qemu.svg"], found["bench-sizes-qemu.svg"]
    assert {"Pteron", "Linux 7.3.4", "goal of Pteron"} <= set(operations) and "Linux 7.3.4 defaults" not in operations
    assert "touch" in operations and not any(text.startswith(("mremap", "populate")) for text in operations)
    assert sizes.count("touched pages") == 2 and "fork" not in sizes
    assert "Linux 7.3.4" not in found["bench-mapped-qemu.svg"] and "Linux 7.3.4, native" not in found["bench-scale.svg"]


def test_the_legend_covers_nothing(tmp_path, monkeypatch):
    """It stands below everything that is drawn."""
    places = []

    def look(chart, path, about, unit, save=charts.Chart.save):
        path = save(chart, path, about, unit)
        lowest = min(axes.get_window_extent().y0 for axes in chart.axes)
        places.append((path.name, chart.figure.legends[0].get_window_extent().y1 < lowest, any(axes.get_legend() for axes in chart.axes)))
        return path

    monkeypatch.setattr(charts.Chart, "save", look)
    charts.draw(ALL, tmp_path, ABOUT)
    assert len(places) == 4 and all(below and not inside for _, below, inside in places), places


def test_none_is_older_than_the_figures(tmp_path, monkeypatch):
    """Not of a place that was not measured again, and not where drawing fails."""
    charts.draw({("xen", "pteron"): PAGED, **ALL}, tmp_path, ABOUT)
    assert (tmp_path / "bench-operations-xen.svg").exists()
    charts.draw(ALL, tmp_path, ABOUT)
    assert not list(tmp_path.glob("*-xen.svg")) and list(tmp_path.glob("*-qemu.svg"))

    def refuse(*_):
        raise OSError("no matplotlib")
    monkeypatch.setattr(charts, "draw", refuse)
    with pytest.raises(OSError):
        bench_report.publish([Run("pteron", "qemu", "counted", {Key("getppid"): {"ticks": 5}})], ABOUT, tmp_path)
    assert not list(tmp_path.glob("*.svg")) and (tmp_path / "bench.json").exists()


@pytest.mark.parametrize("place", charts.PLACES)
def test_those_of_the_documents_are_of_their_figures(tmp_path, place):
    """To the byte, by the same matplotlib; by another they have the same words."""
    [anew] = [path for path in charts.of_documents(tmp_path) if path.name == f"operations-{place}.svg"]
    kept = charts.DOCUMENTS / anew.name
    version = [re.search(r"Matplotlib v[0-9.]+", path.read_text(encoding="utf-8"))[0] for path in (kept, anew)]
    assert words(kept) == words(anew)
    if version[0] == version[1]:
        assert kept.read_bytes() == anew.read_bytes(), "make docs draws them"
