"""What these tests share."""

from __future__ import annotations

from ..homes import home as home  # noqa: TID252
from ..homes import site as site  # noqa: TID252
