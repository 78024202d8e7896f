"""JUnit XML of runs, for what shows the results of tests: a suite is a testsuite, a case a testcase.

Of several runs each suite is named with its seed, and with which time it is if a seed ran more than once."""

import xml.etree.ElementTree as ET
from collections import Counter

from .runner import Result
from .why import why

_NOT_XML = {i: "?" for i in range(32) if i not in (9, 10, 13)}


def _case(suite: ET.Element, name: str, kind: str = "", message: str = "") -> None:
    case = ET.SubElement(suite, "testcase", classname=suite.get("name"), name=name)
    if kind:
        message = message.translate(_NOT_XML)
        ET.SubElement(case, kind, message=message.partition("\n")[0]).text = message


def _replay(suite: ET.Element, result: Result) -> None:
    ET.SubElement(ET.SubElement(suite, "properties"), "property", name="replay", value=result.config.replay())


def _add_run(top: ET.Element, result: Result, label: str) -> None:
    """A run that came to no verdict has an error in a case of its own: what became of the run."""
    for s in result.output.suites:
        suite = ET.SubElement(top, "testsuite", name=s.name + label, tests=str(len(s.cases)), failures=str(s.failed),
                              skipped=str(s.skipped), time=f"{s.seconds:.3f}")
        if label:
            _replay(suite, result)
        for c in s.cases:
            _case(suite, c.name, {"failed": "failure", "skipped": "skipped"}.get(c.verdict, ""), c.message)
    if result.verdict != "passed" and not any(s.failed for s in result.output.suites):
        run = ET.SubElement(top, "testsuite", name="run" + label, tests="1", errors="1", time=f"{result.seconds:.3f}")
        _case(run, result.verdict, "error", "\n".join([*why(result.verdict, result.output), result.config.replay()]))


def _labels(results: list[Result]) -> list[str]:
    """What tells the runs apart: nothing, if there is one."""
    often, times, labels = Counter(r.config.seed for r in results), Counter(), []
    for r in results:
        times[r.config.seed] += 1
        labels.append(f" (seed {r.config.seed}" + (f", run {times[r.config.seed]}" if often[r.config.seed] > 1 else "") + ")")
    return labels if len(results) > 1 else [""] * len(results)


def as_junit(results: list[Result]) -> str:
    """The first testsuite, `about`, has the replay line of the first run that did not pass, or of the first of all."""
    top = ET.Element("testsuites", name="pteron")
    if results:
        _replay(ET.SubElement(top, "testsuite", name="about", tests="0"), next((r for r in results if r.exit_code), results[0]))
    for result, label in zip(results, _labels(results)):
        _add_run(top, result, label)
    return ET.tostring(top, encoding="unicode", xml_declaration=True) + "\n"
