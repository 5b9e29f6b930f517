"""kubectl: a user in the kubeconfig who gets the token from a command.

https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from keyfob.cli.installing.command import command, home
from keyfob.cli.installing.edits import Edit, read
from keyfob.cli.installing.kubeconfig import Kubeconfig
from keyfob.cli.installing.plan import Plan, check_token_suffices, not_ready
from keyfob.config.places import home_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from keyfob.cli.run import Session
    from keyfob.providers import Provider

_API = "client.authentication.k8s.io/v1"


def plan(provider: Provider, session: Session, options: argparse.Namespace) -> Plan:
    """What makes kubectl ask keyfob for this provider's token as that user. Raises ConfigError, UsageError."""
    user = options.user or provider.id
    check_token_suffices(provider, "kubectl")
    path, *others = kubeconfigs(session.environ)
    for other in others:
        Kubeconfig(other, read(other)).check_lacks(user)
    before = read(path)
    file = Kubeconfig(path, before)
    program, *first = command(session.environ)
    folder = home(session.environ)
    entry = {
        "apiVersion": _API,
        "command": program,
        "args": [*first, "token", provider.id, "--format", "exec-credential"],
        "interactiveMode": "Never",
        **({"env": [{"name": "CODEX_HOME", "value": folder}]} if folder else {}),
    }
    edits = [Edit(path, before, file.text)] if file.add_user(user, entry) else []
    remark = f"{path}: the user {user} asks keyfob already"
    chosen = "kubectl sends the token to the server of each context that has this user"
    use = shlex.join(["kubectl", "config", "set-context", "--current", f"--user={user}"])
    return Plan(edits, remark=remark, after=[*not_ready(provider), (chosen, use)])


def kubeconfigs(environ: Mapping[str, str]) -> list[str]:
    """The files that KUBECONFIG names, or ~/.kube/config. kubectl merges them: of users of one name, the first counts.

    https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
    """
    named = [os.path.abspath(each) for each in environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    return list(dict.fromkeys(named)) or [os.path.join(home_of(environ), ".kube", "config")]
