"""What runs leave in files: JUnit of many, and the page of HTML."""

import html.parser
import json
import os
import re
import subprocess
import xml.etree.ElementTree as ET

import pytest

from harness import html_page, junit, replay
from harness.catalogue import ROOT
from harness.ktap import Output
from harness.machine import Config
from harness.runner import Result

TEXT = """KTAP version 1
1..1
    KTAP version 1
    # Subtest: tables
    1..2
    ok 1 fine
    # tests/stress/stress.c:178: expected a < b && c, found "1"
    not ok 2 broken
not ok 1 tables
# counter page_faults 1234
# verdict failed
"""
PASSED = TEXT.replace("not ok", "ok").replace("# verdict failed", "# verdict passed")
VOID = {"meta"}


def result(seed: int = 1, text: str = TEXT) -> Result:
    output = Output()
    for line in text.splitlines():
        output.feed(line)
    return Result(Config(seed=seed, append="suite='<b>'"), output, output.verdict(), 33)


class Page(html.parser.HTMLParser):
    """Text, open details and what it loads; fails where tags do not match."""

    def __init__(self, source: str):
        super().__init__()
        self.stack, self.text, self.open, self.links = [], [], [], []
        self.feed(source)
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        self.links += [value for name, value in attrs if name in ("href", "src")]
        if tag == "details":
            self.open.append(("open", "") in attrs)
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_page_of_one_run():
    """All that a reader wants, as text and not as markup; the failure is open, and nothing comes from elsewhere."""
    source = html_page.as_html(result().as_json())
    page = Page(source)
    text = "".join(page.text)
    assert 'expected a < b && c, found "1"' in text and result().config.replay() in text and "<b>" not in source
    assert re.search(r"tables: failed, 1 passed, 1 failed, 0 skipped, [0-9.]+ s", text) and "1,234" in text
    assert page.open == [True, False] and not page.links and "url(" not in source and "<script" not in source


def test_page_of_a_judged_kernel():
    data = {**result(1, PASSED).as_json(), "kernel": "linux-6.1", "virtual_seconds": 3.25,
            "complaints": [{"text": "BUG: Bad page map <x>", "virtual_seconds": 1.0}]}
    text = "".join(Page(html_page.as_html(data)).text)
    assert "kernel linux-6.1, 3.2 virtual seconds" in text and "BUG: Bad page map <x>" in text


def test_page_of_many_runs():
    data = {"schema": 1, "interrupted": False, "runs": [result(1, PASSED).as_json(), result(2).as_json()]}
    page = Page(html_page.as_html(data))
    text = "".join(page.text)
    assert "1 of 2 runs passed" in text and "why: suite tables, case broken" in text
    assert page.links == ["#run0", "#run1"] and page.open == [False, False, False, True, True, False]


def test_junit_of_many_runs():
    """Each run has its suites, by seed, with its replay line; a seed that ran twice says which time."""
    top = ET.fromstring(junit.as_junit([result(1, PASSED), result(2), result(2)]).partition("\n")[2])
    suites = {s.get("name"): s for s in top}
    assert list(suites) == ["about", "tables (seed 1)", "tables (seed 2, run 1)", "tables (seed 2, run 2)"]
    assert [s.get("failures") for s in top][1:] == ["0", "1", "1"]
    assert "--seed 2 " in suites["about"].find("properties/property").get("value"), "that of the first failure"
    assert "--seed 1 " in suites["tables (seed 1)"].find("properties/property").get("value")


@pytest.mark.parametrize("write", [html_page.as_html, json.dumps, lambda data: junit.as_junit([result(1, PASSED), result(2)])])
def test_each_can_be_replayed(tmp_path, write):
    file = tmp_path / "file"
    file.write_text(write({"schema": 1, "interrupted": False, "runs": [result(1, PASSED).as_json(), result(2).as_json()]}))
    assert replay.find(str(file), file) == result(2).config.replay()


def test_all_at_once(tmp_path):
    """Two runs; the files are whole, and an old page is not taken for the new."""
    files = {name: tmp_path / f"r.{name}" for name in ("json", "junit", "html")}
    files["html"].write_text("old")
    done = subprocess.run(["./pteron", "run", "--suite", "vma", "--mem", "128", "--deterministic", "--seeds", "2",
                           *(word for name, file in files.items() for word in (f"--{name}", str(file)))],
                          cwd=ROOT, env={**os.environ, "PTERON_RUNS": str(tmp_path / "runs")}, capture_output=True, text=True,
                          check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert len(json.loads(files["json"].read_text())["runs"]) == 2
    assert len(ET.parse(files["junit"]).getroot()) == 3
    assert "2 of 2 runs passed" in "".join(Page(files["html"].read_text()).text)
    assert not list(tmp_path.glob(".r.*"))
