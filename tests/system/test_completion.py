"""What a shell completes: asked as bash asks, by the function that ./pteron completion bash gives it."""

import os
import subprocess

import pytest

from harness import catalogue
from harness.catalogue import ROOT

# Sets what bash sets before it calls a completion's function (bash(1), Programmable Completion), and prints what it found.
ASK = """eval "$(./pteron completion bash)"
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
read -ra COMP_WORDS <<<"$1"
[ "${1% }" = "$1" ] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
spec=$(complete -p pteron)
function=${spec##*-F } function=${function%% *}
"$function" "$COMP_WORDS" "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


def completions(line: str, **options) -> list[str]:
    done = subprocess.run(["bash", "-c", ASK, "ask", line], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60, **options)
    return [word.strip() for word in done.stdout.splitlines() if word.strip()]


@pytest.mark.parametrize("line, found", [
    ("./pteron r", ["run", "replay"]),
    ("./pteron run --su", ["--suite"]),
    ("./pteron run --backend sh", ["shadow"]),
    ("./pteron run --suite str", ["stress"]),
    ("./pteron run --suite zap,!mi", ["zap,\\!mix"]),
    ("./pteron mutants --bug flush-only-h", ["flush-only-here"]),
    ("./pteron iso --boot ", ["bios", "uefi"]),
    ("./pteron run --initrd /", []),  # files are the shell's
])
def test_words(line, found):
    assert completions(line) == found


def test_every_suite():
    assert {s.name for s in catalogue.suites()} <= set(completions("./pteron run --suite "))


def test_nothing_is_installed_meanwhile(tmp_path):
    """Even where packages are missing: who completes a word waits."""
    fake = tmp_path / "dpkg-query"
    fake.write_text("#!/bin/sh\ntouch \"$0.asked\"\nexit 1\n")
    fake.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    script = ASK.replace('eval "$(./pteron', f'eval "$(PATH={os.environ["PATH"]} ./pteron')
    done = subprocess.run(["bash", "-c", script, "ask", "./pteron run --backend sh"], cwd=ROOT, env=env, capture_output=True, text=True,
                          check=True, timeout=60)
    assert done.stdout.strip() == "shadow" and not (tmp_path / "dpkg-query.asked").exists()


def test_zsh_takes_bashs():
    said = subprocess.run(["./pteron", "completion", "zsh"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.startswith("autoload -U +X compinit") and "bashcompinit" in said and "complete " in said
