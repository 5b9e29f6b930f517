"""A CODEX_HOME and a site folder for each test that asks for one."""

from __future__ import annotations

from ..homes import home as home  # noqa: TID252
from ..homes import site as site  # noqa: TID252
