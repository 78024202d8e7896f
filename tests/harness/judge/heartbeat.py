"""heartbeat.py SECONDS COMMAND...: run an ssh, whose other end hears every so many seconds that the engine is still there.

The engine gives it to GNU parallel in the place of ssh. An ssh whose connection is cut says nothing to the other end, and neither
does one that is killed while the network is away: silence does (lifeline.py). It is started for each job, and imports little."""

import os
import select
import subprocess
import sys

LOST = 255  # ssh's status of a connection that broke


def _beat(pipe) -> None:
    try:
        pipe.write(b"\n")
    except BrokenPipeError:
        pass  # the command ends


def main() -> int:
    """The command's exit status."""
    beat, command = float(sys.argv[1]), sys.argv[2:]
    engine = os.pidfd_open(int(os.environ["PTERON_ENGINE"]))
    with subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0) as ssh:
        ended = os.pidfd_open(ssh.pid)
        while not (ready := select.select([engine, ended], [], [], beat)[0]):
            _beat(ssh.stdin)
        if ended not in ready:
            ssh.kill()
        status = ssh.wait()
    return status if status >= 0 else LOST


if __name__ == "__main__":
    sys.exit(main())
