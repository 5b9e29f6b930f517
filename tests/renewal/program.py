"""A library program, run by itself: one credential for each CODEX_HOME that it reads on stdin, in a new process each.

The processes are forked, so that everything is imported before what a test looks at begins. Of each it says `pid N`,
then, if that lives long enough, what it got as JSON, then `end STATUS`.
"""

import json
import os
import sys

from keyfob import Host
from keyfob.config.places import Places
from keyfob.errors import KeyfobError


def got(home: str) -> str:
    """What a program gets from the login in `home`."""
    host = Host(places=Places(home, system=f"{home}/system", cache=f"{home}/cache"))
    try:
        return json.dumps({"token": host.provider("lab").credential().token})
    except KeyfobError as error:
        return json.dumps({"error": error.code, "message": str(error), "hint": error.hint})


def main() -> None:
    """Renew a first login, to have all modules imported; then serve."""
    print(got(sys.argv[1]), flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            print(f"pid {os.getpid()}", flush=True)
            print(got(line.strip()), flush=True)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print(f"end {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    main()
