"""A worker's lifeline: when who gave it its job is gone, it ends, and its machine with it.

On the engine's own machine it watches the engine's process; behind an ssh it listens to heartbeat.py on standard input."""

import os
import select
import signal
import threading

_HEARD = "heard:"
_MERCY = 10  # seconds to end in an orderly way


def behind_ssh(seconds: float) -> str:
    """For hold(): an engine that says something more often than every @seconds."""
    return f"{_HEARD}{seconds}"


def _wait_for_the_end(process: int) -> None:
    try:
        select.select([os.pidfd_open(process)], [], [])
    except ProcessLookupError:
        pass  # it has ended already


def _wait_for_silence(seconds: float) -> None:
    while select.select([0], [], [], seconds)[0]:
        if not os.read(0, 4096):
            return


def _watch(engine: str) -> None:
    if engine.startswith(_HEARD):
        _wait_for_silence(float(engine.removeprefix(_HEARD)))
    else:
        _wait_for_the_end(int(engine))
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_MERCY)
    os.kill(os.getpid(), signal.SIGKILL)


def hold(engine: str) -> None:
    """From now on this process ends with @engine: the number of a process, or what behind_ssh() says."""
    threading.Thread(target=_watch, args=(engine,), daemon=True).start()
