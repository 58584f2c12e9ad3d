"""Parts of schemas that several step types share."""

from __future__ import annotations

from typing import Any

KEY: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 100}
PRIORITY: dict[str, Any] = {"enum": ["urgent", "high", "normal", "low"]}
DATA: dict[str, Any] = {"type": "object", "maxProperties": 100}
