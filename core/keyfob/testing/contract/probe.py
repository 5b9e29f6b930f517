"""Imports one module in a process of its own, and notes what that did: `probe.py MODULE FILE`. Run by its path."""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading

from keyfob.testing.doing import DOING


def main(module: str, file: str) -> None:
    """Import it, and write down what was loaded, started and changed."""
    importlib.import_module("keyfob.plugin")  # what a plugin may count on to be there
    loaded, environ, did = set(sys.modules), dict(os.environ), []
    sys.addaudithook(lambda event, _: did.append(event) if event in DOING else None)
    importlib.import_module(module)
    found = {
        "loaded": sorted(set(sys.modules) - loaded),
        "there": sorted({name.partition(".")[0] for name in loaded}),
        "environ": sorted(name for name in {*environ, *os.environ} if environ.get(name) != os.environ.get(name)),
        "threads": [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()],
        "did": sorted(set(did)),
    }
    with open(file, "w", encoding="utf-8") as out:
        json.dump(found, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
