"""A CODEX_HOME for each test that asks for one."""

from __future__ import annotations

from ..homes import home as home  # noqa: TID252
