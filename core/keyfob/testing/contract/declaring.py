"""Rules about what is there before anybody asks for a credential: declaration, import, options."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any, Final

from keyfob.config.schema import table_schema
from keyfob.testing.contract import probe
from keyfob.testing.contract.rule import rule, see

if TYPE_CHECKING:
    from keyfob.testing.contract.trial import Trial

# What the probe finds → what is wrong with it.
_TOLD: Final = {
    "environ": "changes variables of the environment",
    "threads": "leaves threads behind",
    "did": "does what belongs where it is used",
}


class Declaring:
    """A plugin is named in metadata, and imported when an entry needs it."""

    @rule("key")
    def test_declared(self, trial: Trial) -> None:
        """One distribution declares the key, its module has the hook, and the entry of this test goes to it."""
        provider = trial.provider()
        provider.host.plugins.load(trial.key)
        see(trial.loaded_from, f"nobody declares `{trial.key}`")
        see(provider.route.plugin == trial.key, f"the entry goes to the plugin `{provider.route.plugin}`")
        others = [key for key in trial.offered if provider.host.plugins.declared("keyfob.auth", key) is None]
        see(trial.built_in or not others, f"its module offers {', '.join(others)} too, which nobody declares")

    @rule()
    def test_import_is_light(self, trial: Trial) -> None:
        """Importing it loads nothing but itself, the standard library, and what keyfob.plugin has loaded.

        Who lists plugins or completes a command waits for that, and for every SDK that is imported when the module is.
        """
        found, _ = _probed(trial)
        own = trial.loaded_from.partition(".")[0]
        known = {*sys.stdlib_module_names, *found["there"], own, "keyfob"}
        foreign = sorted({name.partition(".")[0] for name in found["loaded"]} - known)
        see(not foreign, f"importing {trial.loaded_from} loads {', '.join(foreign)}: import that where it is used")

    @rule()
    def test_import_is_silent(self, trial: Trial) -> None:
        """Importing it prints nothing, starts nothing, waits for nothing, connects to nothing and sets no variable."""
        found, said = _probed(trial)
        see(not said, f"importing {trial.loaded_from} prints {said[:200]!r}")
        for what, told in _TOLD.items():
            see(not found[what], f"importing {trial.loaded_from} {told}: {', '.join(found[what])}")

    @rule()
    def test_options_have_a_schema(self, trial: Trial) -> None:
        """Editors complete and check the table by its JSON Schema (keyfob config)."""
        model = trial.provider().loaded.plugin.options
        try:
            json.dumps(table_schema(model, trial.key))
        except Exception as error:  # pydantic has many
            raise AssertionError(f"{model.__name__} has no JSON Schema: {type(error).__name__}: {error}") from error

    @rule()
    def test_misspelt_options_are_told(self, trial: Trial) -> None:
        """A slip is a warning, or with `extra="forbid"` an error: never kept in silence."""
        model = trial.provider().loaded.plugin.options
        how = model.model_config.get("extra", "ignore")
        see(how != "allow", f'{model.__name__} keeps what it does not know (extra="allow"), so no slip is ever told')


def _probed(trial: Trial) -> tuple[dict[str, Any], str]:
    """What importing its module did, and what it printed."""
    return _probed_once(trial.loaded_from)


@functools.cache
def _probed_once(module: str) -> tuple[dict[str, Any], str]:
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "found.json")
        command = [sys.executable, "-P", "-E", probe.__file__, module, file]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        see(done.returncode == 0, f"{module} cannot be imported: {_last(done.stderr)}")
        with open(file, encoding="utf-8") as found:
            return json.load(found), done.stdout + done.stderr


def _last(text: str) -> str:
    """Its last line, which says what a traceback is about."""
    return text.strip().rpartition("\n")[2]
