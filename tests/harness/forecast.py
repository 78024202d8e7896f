"""How long a run will still take: what the same suites took in the last run of the same configuration."""

import time

from .ktap import Output


def in_words(seconds: float) -> str:
    """Rounded as a person says it."""
    if seconds < 95:
        return f"{max(5, round(seconds / 5) * 5)} s"
    return f"{round(seconds / 60)} min"


class Forecast:
    """@durations: seconds by suite; none: nothing is foretold."""

    def __init__(self, durations: dict[str, float] | None):
        self.durations = durations or {}

    def left(self, output: Output) -> float | None:
        """Seconds; None if this cannot be said, because nothing was known, or other suites run now."""
        known, left = self.durations, dict(self.durations)
        if not known or any(suite.name not in known for suite in output.suites):
            return None
        for suite in output.suites:
            spent = left[suite.name] if suite.ok is not None else time.monotonic() - suite.began
            left[suite.name] = max(0.0, left[suite.name] - spent)
        return sum(left.values())

    def text(self, output: Output) -> str:
        """For the status line: empty if there is nothing to say."""
        left = self.left(output)
        return "" if left is None else f", about {in_words(left)} left" if left >= 1 else ", nearly done"
