"""Imports one module in a process of its own, and notes what that did: `probe.py MODULE FILE`. Run by its path."""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
from typing import Any

from keyfob.testing.doing import DOING, noted_sleep


def main(module: str, file: str) -> None:
    """Import it, and write down what was loaded, started and changed."""
    importlib.import_module("keyfob.plugin")  # what a plugin may count on to be there
    loaded, environ, did = set(sys.modules), set[str](), set[str]()
    sys.addaudithook(lambda event, arguments: _hear(event, arguments, environ, did))
    time.sleep = noted_sleep(lambda _: did.add("time.sleep"))
    importlib.import_module(module)
    found = {
        "loaded": sorted(set(sys.modules) - loaded),
        "there": sorted({name.partition(".")[0] for name in loaded}),
        "environ": sorted(environ),
        "threads": [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()],
        "did": sorted(did),
    }
    with open(file, "w", encoding="utf-8") as out:
        json.dump(found, out)


def _hear(event: str, arguments: tuple[Any, ...], environ: set[str], did: set[str]) -> None:
    """Note the variable that is set or unset, even to what it was: whoever runs the tests has imported the module."""
    if event in ("os.putenv", "os.unsetenv"):
        environ.add(os.fsdecode(arguments[0]))
    elif event in DOING:
        did.add(event)


if __name__ == "__main__":
    main(*sys.argv[1:])
