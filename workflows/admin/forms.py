"""The form in which staff edit a definition."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget

from accounts.admin.tenancy import TenantModelForm
from accounts.models import Organization
from workflows.definition import check_references, validate_definition
from workflows.errors import DefinitionInvalid
from workflows.models import Workflow
from workflows.services.drafts import check_key_kept
from workflows.services.publishing import OrganizationCatalog

PUBLISH = "publish_draft"
_EXAMPLE: dict[str, Any] = {
    "name": "New workflow",
    "type": "new_workflow",
    "triggerEvent": "user_registered",
    "steps": [{"type": "email", "template": "welcome"}],
}


class DefinitionField(forms.CharField):
    """JSON as text: shown as it was written, with errors that name the line."""

    widget = UnfoldAdminTextareaWidget(
        attrs={
            "rows": 30,
            "spellcheck": "false",
            "autocapitalize": "off",
            # The theme's style sheet is built without its class for it.
            "style": "font-family: ui-monospace, monospace; tab-size: 2; white-space: pre; "
            "overflow-x: auto; max-width: 100%;",
        }
    )

    def prepare_value(self, value: Any) -> Any:
        # What was typed and refused comes back as text, and is shown unchanged.
        return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(self.prepare_value(initial) != data)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return json.loads(text, parse_constant=_refuse_constant)
        except json.JSONDecodeError as error:
            raise ValidationError(
                f"This is not JSON: {error.msg} in line {error.lineno}, column {error.colno}."
            ) from error
        except (ValueError, RecursionError) as error:
            raise ValidationError(f"This is not JSON: {error}.") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


class WorkflowForm(TenantModelForm):
    """A workflow as staff edit it: the draft and the switches."""

    definition = DefinitionField(
        label="Draft",
        initial=_EXAMPLE,
        help_text="The steps as JSON. What you save is a draft; executions use what was published last.",
    )

    class Meta:
        model = Workflow
        fields = ("organization", "definition", "reentry", "is_active")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        organization: Organization | None = cleaned.get("organization")
        definition = cleaned.get("definition")
        if definition is None:
            return cleaned
        try:
            validate_definition(definition)
            if not self.instance._state.adding:
                check_key_kept(self.instance, definition)
            if PUBLISH in self.data:
                check_references(definition, OrganizationCatalog(self.instance.organization_id))
        except DefinitionInvalid as error:
            self.add_error("definition", [str(problem) for problem in error.problems])
            return cleaned
        if self.instance._state.adding and organization is not None:
            self._check_key_is_free(organization, definition["type"])
        return cleaned

    def _check_key_is_free(self, organization: Organization, key: str) -> None:
        if Workflow.objects.for_organization(organization).filter(key=key).exists():
            self.add_error("definition", f"type: There is a workflow of the type {key!r} already.")
