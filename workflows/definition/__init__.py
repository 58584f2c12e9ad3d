"""The JSON of a workflow: what it may be, and the way through its steps.

A path names a step: ``3``, ``3.branches.0.steps.1``, ``3.otherwise.0``. It is the dotted way into the JSON from
``steps``. Nothing here knows the database.
"""

from workflows.definition.places import (
    Place,
    all_places,
    first_in,
    first_place,
    place_after,
    place_at,
    place_of_id,
    places_by_id,
)
from workflows.definition.references import all_expressions, all_templates, check_references
from workflows.definition.schema import MAX_STEPS, definition_schema
from workflows.definition.validation import MAX_BYTES, validate_definition

__all__ = [
    "MAX_BYTES",
    "MAX_STEPS",
    "Place",
    "all_expressions",
    "all_places",
    "all_templates",
    "check_references",
    "definition_schema",
    "first_in",
    "first_place",
    "place_after",
    "place_at",
    "place_of_id",
    "places_by_id",
    "validate_definition",
]
