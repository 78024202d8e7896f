"""A page of HTML made from what --json writes, of one run or of several: for who reads results in a browser.

It needs nothing beside it: no script, no font, no picture. What did not pass is open, all else opens on a click."""

import xml.etree.ElementTree as ET

_NOT_TEXT = {i: "?" for i in range(32) if i not in (9, 10, 13)}
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse } th, td { text-align: left; padding: .15rem .8rem .15rem 0; border-bottom: 1px solid #ddd; vertical-align: top }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
pre { background: #f4f4f4; padding: .6rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 13px }
summary { cursor: pointer } .passed { color: #176b2c } .skipped { color: #7a5c00 }
.failed, .crashed, .hung, .timeout, .none, .incomplete, .usage, .interrupted, .unstarted { color: #a11212; font-weight: 600 }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #161616 } pre { background: #262626 } th, td { border-color: #444 }
.passed { color: #6fce85 } .skipped { color: #dcb74a }
.failed, .crashed, .hung, .timeout, .none, .incomplete, .usage, .interrupted, .unstarted { color: #ff8b8b } }
"""


def add(parent: ET.Element, tag: str, text: object = "", **attributes: str) -> ET.Element:
    """A new element of @parent; `class_` is its class."""
    element = ET.SubElement(parent, tag, {name.rstrip("_"): value for name, value in attributes.items()})
    element.text = str(text).encode("utf-8", "replace").decode().translate(_NOT_TEXT)
    return element


def document(title: str) -> tuple[ET.Element, ET.Element]:
    """An empty page, and its body."""
    top = ET.Element("html", lang="en")
    head = ET.SubElement(top, "head")
    ET.SubElement(head, "meta", charset="utf-8")
    ET.SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    add(head, "title", title)
    add(head, "style", _STYLE)
    return top, ET.SubElement(top, "body")


def _row(table: ET.Element, cells: list, tag: str = "td") -> list[ET.Element]:
    row = ET.SubElement(table, "tr")
    return [add(row, tag, f"{c:,}" if isinstance(c, int) else f"{c:,.1f}" if isinstance(c, float) else c,
                 **({"class_": "number"} if isinstance(c, (int, float)) else {})) for c in cells]


def _about(page: ET.Element, run: dict) -> None:
    """What ran, where, and the line that repeats it."""
    add(page, "p", f"{run['on']}, backend {run['backend']}, {run['cpus']} CPUs, {run['mem_mib']} MiB, boot {run['boot']}, {run['accel']}, "
                    f"{run['build']} build by {run['compiler']}, seed {run['seed']}" + (f", bug {run['bug']}" if "bug" in run else ""))
    add(page, "p", f"{run['date']}, {run['seconds']:.1f} s, on {run['host']}, {run['qemu']}, commit {run['commit'] or 'unknown'}"
                    + (" and changes" if run["dirty"] else ""))
    if "kernel" in run:
        add(page, "p", f"kernel {run['kernel']}, {run['virtual_seconds'] or 0:.1f} virtual seconds")
        if run["complaints"]:
            add(page, "pre", "\n".join(c["text"] for c in run["complaints"]))
    add(page, "pre", run["replay"])
    if run["why"]:
        add(page, "pre", "\n".join(run["why"]), class_="why")


def _suite(page: ET.Element, suite: dict) -> None:
    details = ET.SubElement(page, "details", {"open": ""} if suite["verdict"] != "passed" else {})
    head = add(details, "summary", f"{suite['name']}: ")
    add(head, "span", suite["verdict"], class_=suite["verdict"]).tail = (
        f", {suite['pass']} passed, {suite['fail']} failed, {suite['skip']} skipped, {suite['seconds']:.1f} s")
    table = ET.SubElement(details, "table")
    for case in suite["cases"]:
        name, verdict, message = _row(table, [case["name"], case["verdict"], ""])
        verdict.set("class", case["verdict"])
        if "message" in case:
            add(message, "pre", case["message"])


def _counters(page: ET.Element, counters: dict) -> None:
    details = ET.SubElement(page, "details")
    add(details, "summary", "what the kernel counted")
    table = ET.SubElement(details, "table")
    for name, value in counters.items():
        if isinstance(value, int):
            _row(table, [name.replace("_", " "), value])


def _run(page: ET.Element, run: dict) -> None:
    _about(page, run)
    for suite in run["suites"]:
        _suite(page, suite)
    if "program" in run:
        add(page, "p", f"program {' '.join(run['program']['argv'])}: {run['program']['end'] or 'did not come to its end'}")
    _counters(page, run["counters"])


def _runs(page: ET.Element, runs: list[dict]) -> None:
    """A table of all, then each."""
    table = ET.SubElement(page, "table")
    _row(table, ["seed", "verdict", "seconds", "why"], "th")
    for n, run in enumerate(runs):
        seed, verdict, _, _ = _row(table, ["", run["verdict"], float(run["seconds"]), "\n".join(run["why"][:1])])
        verdict.set("class", run["verdict"])
        add(seed, "a", run["seed"], href=f"#run{n}")
    for n, run in enumerate(runs):
        details = ET.SubElement(page, "details", {"id": f"run{n}", **({"open": ""} if run["verdict"] != "passed" else {})})
        head = add(details, "summary", f"seed {run['seed']}: ")
        add(head, "span", run["verdict"], class_=run["verdict"])
        _run(details, run)


def as_html(data: dict) -> str:
    """@data: as --json writes it."""
    runs = data.get("runs", [data])
    passed = sum(run["verdict"] == "passed" for run in runs)
    said = data["verdict"] if "runs" not in data else f"{passed} of {len(runs)} runs passed" + (", interrupted" if data["interrupted"] else "")
    top, body = document(f"Pteron: {said}")
    for run in [*(r for r in runs if r["verdict"] != "passed"), *runs][:1]:
        ET.SubElement(top[0], "meta", name="replay", content=run["replay"])  # for ./pteron replay
    title = add(body, "h1", "Pteron: ")
    add(title, "span", said, class_="passed" if passed == len(runs) else "failed")
    if "runs" in data:
        _runs(body, runs)
    else:
        _run(body, data)
    return "<!DOCTYPE html>\n" + ET.tostring(top, encoding="unicode", method="html") + "\n"
