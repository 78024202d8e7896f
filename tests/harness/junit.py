"""JUnit XML of a run, for what shows the results of tests: a suite is a testsuite, a case a testcase."""

import xml.etree.ElementTree as ET

from .runner import Result
from .why import why

_NOT_XML = {i: "?" for i in range(32) if i not in (9, 10, 13)}


def _case(suite: ET.Element, name: str, kind: str = "", message: str = "") -> None:
    case = ET.SubElement(suite, "testcase", classname=suite.get("name"), name=name)
    if kind:
        message = message.translate(_NOT_XML)
        ET.SubElement(case, kind, message=message.partition("\n")[0]).text = message


def as_junit(result: Result) -> str:
    """A run that came to no verdict has an error in a case of its own: what became of the run."""
    top = ET.Element("testsuites", name="pteron")
    about = ET.SubElement(ET.SubElement(top, "testsuite", name="about", tests="0"), "properties")
    ET.SubElement(about, "property", name="replay", value=result.config.replay())
    for s in result.output.suites:
        suite = ET.SubElement(top, "testsuite", name=s.name, tests=str(len(s.cases)), failures=str(s.failed),
                              skipped=str(s.skipped), time=f"{s.seconds:.3f}")
        for c in s.cases:
            _case(suite, c.name, {"failed": "failure", "skipped": "skipped"}.get(c.verdict, ""), c.message)
    if result.verdict not in ("passed", "failed"):
        run = ET.SubElement(top, "testsuite", name="run", tests="1", errors="1", time=f"{result.seconds:.3f}")
        _case(run, result.verdict, "error", "\n".join([*why(result.verdict, result.output), result.config.replay()]))
    return ET.tostring(top, encoding="unicode", xml_declaration=True) + "\n"
