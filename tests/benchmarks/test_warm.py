"""What a request costs once its credential is at hand: no lock, and no system call but one `stat` in 5 s."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from keyfob.testing.issuer import Issuer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

REQUESTS = 20_000
# Sends so many requests on a transport in memory, and says between which two system calls; then how long they took.
SCRIPT = f"""
import httpx, gc, os, sys, time
import keyfob.httpx
from keyfob import Host
from keyfob.config.places import Places

folder = sys.argv[1]
host = Host({{}}, places=Places(folder, system=folder + "/system", cache=folder + "/cache"))
seen = set()

class Transport(httpx.BaseTransport):
    def handle_request(self, request):
        seen.add(request.headers["Authorization"])
        return httpx.Response(200)

with keyfob.httpx.Client("x", host=host, transport=Transport()) as client:
    for _ in range(2000):
        client.get("models")
    gc.collect()
    gc.disable()
    start = time.monotonic()
    os.write(2, b"begin")
    for _ in range({REQUESTS}):
        client.get("models")
    os.write(2, b"end")
    print(time.monotonic() - start, len(seen), *seen)
"""
# What the interpreter asks of the system for memory is not about credentials.
_MEMORY = {"brk", "mmap", "munmap", "mremap", "madvise"}


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_stored_login_costs_a_request_no_system_call_but_one_stat_in_5_s(tmp_path: Path) -> None:
    """Twenty thousand requests, under strace."""
    (tmp_path / "config.toml").write_text(
        'cli_auth_credentials_store = "file"\n[model_providers.x]\nbase_url = "https://llm.example/v1"\n'
        "requires_openai_auth = true\n",
        encoding="utf-8",
    )
    with Issuer() as issuer:
        login = issuer.login()
    (tmp_path / "auth.json").write_text(json.dumps(login), encoding="utf-8")
    (tmp_path / "auth.json").chmod(0o600)
    log = tmp_path / "strace.log"
    done = subprocess.run(
        ["strace", "-f", "-o", str(log), sys.executable, "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    seconds, tokens, *authorization = done.stdout.split(maxsplit=2)
    assert (tokens, authorization) == ("1", [f"Bearer {login['tokens']['access_token']}\n"])
    lines = log.read_text().splitlines()
    begin, end = (
        next(at for at, line in enumerate(lines) if f'write(2, "{word}"' in line) for word in ("begin", "end")
    )
    calls = Counter(found[1] for line in lines[begin + 1 : end] if (found := re.match(r"\d+ +(\w+)\(", line)))
    stats = sum(calls.pop(name, 0) for name in ("stat", "newfstatat", "statx"))
    assert set(calls) <= _MEMORY, calls
    assert stats <= 1 + float(seconds) // 5
