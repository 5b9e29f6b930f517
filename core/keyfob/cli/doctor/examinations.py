"""All examinations, in the order in which they are told."""

from __future__ import annotations

from keyfob.cli.doctor import configuration, installed, logins, machine, network
from keyfob.cli.doctor.finding import Examination

EXAMINATIONS = (
    Examination("configuration", "no faults", configuration.configuration),
    Examination("Codex", "reads the same files as they are", configuration.codex),
    Examination("policy", "no rule on logins", configuration.policy),
    Examination("plugins", "none is refused, and each can be loaded", configuration.plugins),
    Examination("installed", "no other program asks keyfob by `keyfob install`", installed.installed),
    Examination("environment", "no variable stands in the way", machine.environment),
    Examination("logins", "none is stored", logins.logins),
    Examination("stores", "one place", logins.stores),
    Examination("files", "private, and ours", machine.files),
    Examination("file system", "locks are shared by all who use it", machine.file_system),
    Examination("clock", "nothing speaks against it", machine.clock),
    Examination("certificates", "the system's, and nothing more", network.certificates),
    Examination("proxies", "none", network.proxies),
    Examination("sign-in port", "free", machine.sign_in_port),
    Examination("not seen", "", configuration.unseen),
)
