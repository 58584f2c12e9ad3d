"""Published definitions, kept in the process: they never change."""

from __future__ import annotations

import functools
import uuid
from typing import Any

from workflows.models import WorkflowVersion


@functools.lru_cache(maxsize=500)
def definition_of(version_id: uuid.UUID) -> dict[str, Any]:
    """The definition of a version. Do not change what is returned."""
    definition: dict[str, Any] = WorkflowVersion.objects.values_list("definition", flat=True).get(
        id=version_id
    )
    return definition
