"""The command line. `keyfob token` with a snapshot that holds true ends here; all else is one module a command.

On the warm path: see `warm.py`.
"""

import sys


def main() -> int:
    """Run the command that `sys.argv` names; what the process exits with."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["token"]:
        from keyfob.cli.warm import token

        value = token(arguments[1:])
        if value is not None:
            sys.stdout.write(f"{value}\n")
            return 0
    from keyfob.cli.run import run

    return run(arguments)
