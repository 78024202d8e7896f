"""The watchdog on progress counts silence only while QEMU had a CPU."""

import os

import pytest

from harness.runner import _Lines, _starved


class NoBytes:
    """A selector that never has anything, and notes how long it is asked to wait."""

    def __init__(self):
        self.waits: list[float] = []

    def select(self, seconds: float) -> list:
        self.waits.append(seconds)
        return []


@pytest.mark.parametrize("starved, waits", [
    ([0.0, 0.1], 8),                     # the host was idle: all of it was silence
    ([0.0, 6.0, 9.0, 9.2], 8 + 6 + 3),   # what was starved is waited for again
])
def test_what_was_starved_does_not_count(starved, waits):
    read, write = os.pipe()
    times = iter(starved)
    with open(read, "rb") as pipe:
        lines = _Lines(pipe, starved=lambda: next(times))
        lines.selector = NoBytes()
        quiet: list[float] = []
        lines.on_quiet = quiet.append
        with pytest.raises(TimeoutError):
            lines.read(8)
        assert sum(lines.selector.waits) == pytest.approx(waits)
        assert max(lines.selector.waits) <= 1  # a sign of life each second
        assert quiet == pytest.approx([1 + i for i in range(waits)])
    os.close(write)


def test_this_process_was_starved_for_some_time_or_not_at_all():
    assert 0 <= _starved(os.getpid()) < 1e6
