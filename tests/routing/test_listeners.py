"""Plugins that hear of events: loaded for the first one, each alone; none can hold up or break anything."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from keyfob import Host
from keyfob.plugin import Event
from keyfob.routing import listeners

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from ..homes import Home, Site  # noqa: TID252

PATIENCE = 30
EVENTS = [Event("login", "x", 1.0, "envkey"), Event("renewal", "x", 2.0, "oauth"), Event("logout", "x", 3.0, "oauth")]
HEARS = """
from keyfob.plugin import Event, hookimpl
heard = []
@hookimpl
def keyfob_event(event: Event) -> None:
    heard.append(event)
"""


def hears(body: str, before: str = "") -> str:
    """A listener that does this with each event."""
    return f"{before}\nfrom keyfob.plugin import hookimpl\n@hookimpl\ndef keyfob_event(event):\n    {body}\n"


def install(site: Site, name: str, source: str = HEARS) -> None:
    site.install(name, source, key="log", group="keyfob.events")


def announce(host: Host) -> None:
    for event in EVENTS:
        host.announce(event)
    host.heard()


def heard(name: str) -> list[Event]:
    """What a listener has heard; what was never imported has heard nothing."""
    module: Any = sys.modules.get(f"kf_{name}")
    return module.heard if module else []


def wait_until(done: Callable[[], object]) -> None:
    """For what another thread does; it fails where that has not come after a while."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class TestHearing:
    def test_each_is_told_of_all_in_order(self, home: Home, site: Site) -> None:
        """Two distributions may have the same name for it."""
        install(site, "acme")
        install(site, "beta")
        announce(home.host(""))
        assert heard("acme") == heard("beta") == EVENTS
        assert not home.warned

    def test_none_is_imported_before_there_is_something_to_tell(self, home: Home, site: Site) -> None:
        """Whatever the host is used for."""
        install(site, "acme", hears("pass", "raise ValueError"))
        host = home.host('[model_providers.x]\nbase_url = "https://x.example"\nenv_key = "X"')
        assert host.provider("x").explain()
        host.heard()
        assert "kf_acme" not in sys.modules
        assert not home.warned

    @pytest.mark.slow
    def test_without_one_nothing_is_imported_for_events(self, home: Home) -> None:
        """The first event of a process finds that out from metadata alone."""
        program = """
import sys
from keyfob import Host
from keyfob.config.places import Places
from keyfob.plugin import Event
host = Host({"KEYFOB_DISABLE_PLUGINS": "1"}, places=Places(sys.argv[1], system=sys.argv[1], cache=sys.argv[1]))
host.plugins.listeners
before = set(sys.modules)
host.announce(Event("login", "x", 1.0, "p"))
host.heard()
assert set(sys.modules) == before, set(sys.modules) - before
assert "keyfob.routing.listeners" not in before
"""
        subprocess.run([sys.executable, "-c", program, str(home.folder)], check=True, timeout=60)

    @pytest.mark.parametrize("how", ["allow-list", "variable", "half-uninstalled"])
    def test_one_that_is_left_out_is_not_imported(self, home: Home, site: Site, how: str) -> None:
        """By an allow-list, by KEYFOB_DISABLE_PLUGINS, or refused; another that is allowed hears."""
        install(site, "acme")
        install(site, "beta")
        if how == "variable":
            home.environ["KEYFOB_DISABLE_PLUGINS"] = "1"
        if how == "half-uninstalled":
            (site.folder / "acme-1.0.dist-info" / "METADATA").unlink()
        announce(home.host('[keyfob]\nallow_plugins = ["beta"]\n' if how == "allow-list" else ""))
        assert "kf_acme" not in sys.modules
        assert heard("beta") == ([] if how == "variable" else EVENTS)

    def test_faulty_configuration_is_not_told_by_an_announcement(self, home: Home) -> None:
        """Who may listen is not known then."""
        home.host("[").announce(EVENTS[0])


BROKEN = {
    "raises": (hears("raise ValueError('canary')"), "ValueError"),
    "raises ours": (
        hears("raise PluginError('canary')", "from keyfob.errors import PluginError"),
        "PluginError",
    ),
    "exits": (hears("sys.exit('canary')", "import sys"), "SystemExit"),
    "interrupts": (hears("raise KeyboardInterrupt"), "KeyboardInterrupt"),
    "returns": (hears("return 'canary'"), "returned something"),
    "takes more": (hears("pass").replace("(event)", "(event, more)"), "more"),
    "not marked": (hears("pass").replace("@hookimpl", ""), "@hookimpl"),
    "unknown hook": (hears("pass") + "@hookimpl\ndef keyfob_evnt(event): pass\n", "keyfob_evnt"),
    "cannot be imported": (hears("pass", "import kf_nowhere"), "kf_nowhere"),
    "exits at import": (hears("pass", "import sys; sys.exit(3)"), "SystemExit"),
}


class TestBroken:
    @pytest.mark.parametrize("name", BROKEN)
    def test_one_that_breaks_is_told_of_once_and_breaks_nothing(self, home: Home, site: Site, name: str) -> None:
        """The other hears everything; the one warning names the distribution, and nothing that it raised."""
        source, why = BROKEN[name]
        install(site, "acme", source)
        install(site, "beta")
        announce(home.host(""))
        assert heard("beta") == EVENTS
        (warning,) = map(str, home.warned)
        assert warning.startswith("plugin acme 1.0: ")
        assert why in warning
        assert "canary" not in warning

    def test_one_that_cannot_be_imported_is_not_tried_again(self, home: Home, site: Site) -> None:
        """Not for what was waiting, and not for what comes later."""
        install(site, "acme", "import sys\nsys.modules.setdefault('kf_tries', []).append(1)\nraise ValueError")
        host = home.host("")
        announce(host)
        announce(host)
        assert sys.modules["kf_tries"] == [1]  # type: ignore[comparison-overlap]

    def test_one_that_broke_once_goes_on_hearing(self, home: Home, site: Site) -> None:
        """It may have been the network."""
        install(site, "acme", f"{HEARS}    assert len(heard) > 1\n")
        announce(home.host(""))
        assert heard("acme") == EVENTS

    def test_a_warning_that_is_an_error_harms_nobody(self, home: Home, site: Site) -> None:
        """As `python -W error` makes it."""
        install(site, "acme", hears("raise ValueError"))
        install(site, "beta")

        def refuse(_: object) -> None:
            raise UserWarning

        home.write("")
        announce(Host(home.environ, places=home.places, warn=refuse))
        assert heard("beta") == EVENTS

    @pytest.mark.slow
    def test_one_that_hangs_is_waited_for_once_and_not_for_ever(
        self, home: Home, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Announcing does not wait; the other hears everything; the end of the process comes."""
        install(site, "acme", hears("waits.wait()", "import threading\nwaits = threading.Event()"))
        install(site, "beta")
        monkeypatch.setattr(listeners, "LINGER", 0.05)
        host = home.host("")
        announce(host)
        monkeypatch.setattr(listeners, "LINGER", 10 * PATIENCE)
        announce(host)
        assert heard("beta") == EVENTS * 2
        (warning,) = map(str, home.warned)
        assert "plugin acme 1.0: " in warning
        assert "not come back" in warning
        sys.modules["kf_acme"].waits.set()  # type: ignore[attr-defined]

    def test_one_that_does_not_keep_up_misses_events(
        self, home: Home, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They are not kept for ever; that is told."""
        source = "import threading\nbegun, waits = threading.Event(), threading.Event()\n" + HEARS
        install(site, "acme", source + "    begun.set(); waits.wait()\n")
        monkeypatch.setattr(listeners, "MOST", 2)
        host = home.host("")
        host.announce(EVENTS[0])
        wait_until(lambda: hasattr(sys.modules.get("kf_acme"), "keyfob_event"))
        acme: Any = sys.modules["kf_acme"]
        assert acme.begun.wait(PATIENCE)
        for _ in range(4):
            host.announce(EVENTS[1])
        acme.waits.set()
        host.heard()
        assert heard("acme") == [EVENTS[0], EVENTS[1], EVENTS[1]]
        assert [("misses events" in str(fault)) for fault in home.warned] == [True]


WRITES = """
import os, threading
from keyfob.plugin import hookimpl
waits = threading.Event()
@hookimpl
def keyfob_event(event):
    with open(os.environ["HEARD"], "a") as file:
        print(os.getpid(), event.kind, file=file)
    if event.kind == "login":
        waits.wait(60)
"""


class TestProcesses:
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_a_forked_child_hears_its_own(
        self, home: Home, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever the parent's listener is at: what waits for it there is heard there."""
        path = tmp_path / "heard"
        path.touch()
        monkeypatch.setenv("HEARD", str(path))
        install(site, "acme", WRITES)
        host = home.host("")
        for kind in ("login", "logout"):
            host.announce(Event(kind, "x", 1.0, "p"))  # type: ignore[arg-type]
        wait_until(path.read_text)
        child = os.fork()
        if child == 0:
            host.announce(EVENTS[1])
            host.heard()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert path.read_text().splitlines() == [f"{os.getpid()} login", f"{child} renewal"]
        sys.modules["kf_acme"].waits.set()  # type: ignore[attr-defined]
        host.heard()
        assert path.read_text().splitlines()[2:] == [f"{os.getpid()} logout"]

    @pytest.mark.slow
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_a_forked_process_of_multiprocessing_lets_them_hear_the_rest(
        self, home: Home, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It ends by `os._exit`."""
        monkeypatch.setenv("HEARD", str(tmp_path / "heard"))
        monkeypatch.setattr(listeners, "LINGER", PATIENCE)
        slow = "time.sleep(0.05); print(os.getpid(), event.kind, file=file, flush=True)"
        install(site, "acme", hears(slow, "import os, time\nfile = open(os.environ['HEARD'], 'a')"))
        host = home.host("")
        host.announce(EVENTS[0])
        host.heard()
        child = multiprocessing.get_context("fork").Process(target=host.announce, args=(EVENTS[1],))
        child.start()
        child.join(PATIENCE)
        sys.modules["kf_acme"].file.close()  # type: ignore[attr-defined]
        assert (tmp_path / "heard").read_text().splitlines() == [f"{os.getpid()} login", f"{child.pid} renewal"]

    @pytest.mark.slow
    def test_a_program_that_ends_lets_them_hear_the_rest(self, home: Home, site: Site, tmp_path: Path) -> None:
        """What was announced in its last moment is heard, unless a listener hangs."""
        install(site, "acme", hears("time.sleep(0.05); print(event.kind)", "import time"))
        program = """
import sys
from keyfob import Host, host
from keyfob.config.places import Places
from keyfob.plugin import Event
from keyfob.routing import plugins
home, site = sys.argv[1:]
sys.path.append(site)
host.site_folders = plugins.site_folders = lambda: [site]
made = Host({}, places=Places(home, system=home, cache=home))
made.announce(Event("login", "x", 1.0, "p"))
made.announce(Event("logout", "x", 1.0, "p"))
"""
        command = [sys.executable, "-c", program, str(home.folder), str(site.folder)]
        done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
        assert done.stdout.split() == ["login", "logout"]
        assert not done.stderr
