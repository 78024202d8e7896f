"""The judge: Pteron's ring-3 suites try kernels that are not Pteron. docs/judge.md tells how."""


class JudgeError(Exception):
    """What was asked for cannot be had or tried; the text is one line that says why."""
