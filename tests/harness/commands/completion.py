"""./pteron completion: what a shell needs to complete the front door's words, by Debian's argcomplete.

The shell then calls ./pteron itself for each completion, with _ARGCOMPLETE set: complete() answers from the parser, so that
there is no second list of options that could grow old."""

import argparse

from .. import catalogue
from ..build import BuildError
from . import Command

_ZSH = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"


def _argcomplete():
    try:
        import argcomplete  # pylint: disable=import-outside-toplevel  # only here, and there may be none
    except ImportError as error:
        raise BuildError("completion needs python3-argcomplete: apt-get install python3-argcomplete") from error
    return argcomplete


def command_completion(args: argparse.Namespace) -> int:
    """Print what makes a shell complete ./pteron's words: eval "$(./pteron completion bash)"."""
    print((_ZSH if args.shell == "zsh" else "") + _argcomplete().shellcode(["pteron"], shell="bash"))
    return 0


def add_completion(command: Command) -> None:
    p = command("completion", command_completion)
    p.add_argument("shell", choices=["bash", "zsh"], help="zsh by its bashcompinit")


def _suites(prefix: str, **_) -> list[str]:
    """Of a list with commas the last, which may begin with !."""
    before, comma, last = prefix.rpartition(",")
    names = [s.name for s in catalogue.suites()] + ["all", "default", *catalogue.TAGS]
    mark = "!" if last.startswith("!") else ""
    return [f"{before}{comma}{mark}{name}" for name in names]


def _bugs(**_) -> list[str]:
    return [bug.name for bug in catalogue.bugs()]


_COMPLETERS = {"--suite": _suites, "--bug": _bugs}


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell, and end. Names of files are left to it: it knows where the caller stands."""
    commands = next(action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    for action in (a for p in commands.values() for a in p._actions):
        for option in _COMPLETERS.keys() & set(action.option_strings):
            action.completer = _COMPLETERS[option]
    _argcomplete().autocomplete(parser, always_complete_options="long", default_completer=None)
