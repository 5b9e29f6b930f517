"""The command line. `keyfob token` with a snapshot that holds true ends here; all else is one module a command.

On the warm path: see `warm.py`.
"""

import sys


def main() -> int:
    """Run the command that `sys.argv` names; what the process exits with."""
    try:
        return 0 if _warm(sys.argv[1:]) else _whole(sys.argv[1:])
    except KeyboardInterrupt:
        return 130


def _warm(arguments: "list[str]") -> bool:
    """Whether the answer was there at once, and was printed. If it cannot be printed, the whole way round says why."""
    if arguments[:1] != ["token"] or sys.stdout is None:
        return False
    from keyfob.cli.warm import token

    value = token(arguments[1:])
    if value is None:
        return False
    try:
        sys.stdout.write(f"{value}\n")
        sys.stdout.flush()
    except OSError:
        return False
    return True


def _whole(arguments: "list[str]") -> int:
    from keyfob.cli.ending import cleanly
    from keyfob.cli.run import run

    with cleanly():
        return run(arguments)
