"""Parts of schemas that several step types share."""

from __future__ import annotations

from typing import Any

KEY: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 100}
PRIORITY: dict[str, Any] = {"enum": ["urgent", "high", "normal", "low"]}
DATA: dict[str, Any] = {"type": "object", "maxProperties": 100}
STEPS: dict[str, Any] = {"type": "array", "maxItems": 200, "items": {"$ref": "#/$defs/step"}}
EXPRESSION: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 1000}
LABEL: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 100}
