"""What a worker of the engine does: one job, whose result it prints as one line.

A worker's checkout must have the files that decide its job's result; a hash of them comes with the job."""

import json
from collections.abc import Callable
from dataclasses import asdict

from .. import catalogue, mutants
from ..options import configuration
from ..runner import TROUBLE, Result, run
from ..terminal import to_stderr
from . import kernels
from .engine import MARK
from .lifeline import hold
from .survey import identity, identity_of_tree

Parse = Callable[[list[str]], object]  # the front door's, of its arguments


def _result(arguments: list[str], parse: Parse) -> Result:
    result = run(configuration(parse(["run", *arguments]), to_stderr))
    if result.verdict == "interrupted":
        raise KeyboardInterrupt
    return result


def _row(arguments: list, _: Parse) -> dict:
    name, *rest = arguments
    return asdict(mutants.examine(catalogue.bug(name), *rest))


# What each kind of job does, and gives back.
KINDS: dict[str, Callable[[list, Parse], dict]] = {
    "survey": lambda arguments, parse: _result(arguments, parse).as_json(),
    "run": lambda arguments, parse: _result(arguments, parse).packed(),
    "mutant": _row,
}


def _own_identity(job: dict, parse: Parse) -> str:
    if job["kind"] == "survey":
        return identity(parse(["run", *job["arguments"]]).kernel == kernels.PTERON)
    return identity_of_tree()


def work(text: str, engine: str | None, parse: Parse) -> int:
    """Do the job @text; the exit status. A run that fails is work that was done. With @engine (lifeline.py) all ends."""
    if engine:
        hold(engine)
    job = json.loads(text)
    if _own_identity(job, parse) != job["identity"]:
        to_stderr("pteron: the files of this checkout that decide a run are not those of the survey: bring both to one commit")
        return TROUBLE
    print(MARK + json.dumps({"key": job["key"], "result": KINDS[job["kind"]](job["arguments"], parse)}), flush=True)
    return 0
