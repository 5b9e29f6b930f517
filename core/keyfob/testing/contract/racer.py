"""One of many processes that want a credential at the same moment: `racer.py FILE`. Run by its path."""

from __future__ import annotations

import json
import sys

from keyfob.testing.contract.trial import ID, host_of


def main(file: str) -> None:
    """Make a host of what the file says, wait for the start, and get a credential."""
    with open(file, encoding="utf-8") as specification:
        provider = host_of(**json.load(specification)).provider(ID)
    provider.source.peek()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    provider.credential()


if __name__ == "__main__":
    main(sys.argv[1])
