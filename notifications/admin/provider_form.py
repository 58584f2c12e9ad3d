"""The form of a provider account: its credential fields are those that the provider's class declares."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from castcomm.common.errors import InvalidInput
from notifications.admin.service_forms import ServiceForm
from notifications.models import ProviderAccount
from notifications.providers.base import Credential, Provider
from notifications.services.provider_accounts_editing import (
    checked_credentials,
    editable_credentials,
    is_many_lines,
    stored_credentials,
)

FIELD, FORGET = "credential_", "forget_"
_NO_FILL = {"autocomplete": "off", "spellcheck": "false"}


class SecretTextarea(UnfoldAdminTextareaWidget):  # type: ignore[misc]
    """Takes a secret of several lines and, like a password's field, never shows one: not even what was just typed."""

    def format_value(self, value: Any) -> str:
        return ""


class ProviderAccountForm(ServiceForm):
    """Made anew for each provider by ``form_for``. A stored secret is never part of the page."""

    channel_chosen: ClassVar[str] = ""
    provider_chosen: ClassVar[str] = ""

    class Meta:
        model = ProviderAccount
        exclude = ("credentials", "channel", "provider")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding:
            self.instance.channel, self.instance.provider = self.channel_chosen, self.provider_chosen

    def given(self) -> dict[str, str]:
        """What was typed, by credential."""
        return {
            name.removeprefix(FIELD): value or ""
            for name, value in self.cleaned_data.items()
            if name.startswith(FIELD)
        }

    def forgotten(self) -> list[str]:
        """The secrets that are to be emptied."""
        return [
            name.removeprefix(FORGET)
            for name, value in self.cleaned_data.items()
            if name.startswith(FORGET) and value
        ]

    def check_service(self, row: ProviderAccount) -> None:
        try:
            checked_credentials(row, self.given(), self.forgotten())
        except InvalidInput as error:
            field = (error.attr or "").replace("credentials.", FIELD)
            raise InvalidInput(error.message, attr=field) from error


def form_for(kind: type[Provider[Any]], account: ProviderAccount | None, channel: str) -> Any:
    """The form of one provider's accounts; with ``account`` it says what is set."""
    stored = stored_credentials(account) if account is not None else {}
    fields: dict[str, Any] = {}
    for declared in editable_credentials(kind):
        fields[FIELD + declared.name] = _field(declared, stored.get(declared.name, ""))
        if declared.secret and not declared.required and stored.get(declared.name):
            fields[FORGET + declared.name] = forms.BooleanField(
                label=f"Forget: {_label(declared)}", required=False, widget=UnfoldBooleanSwitchWidget
            )
    chosen = {"channel_chosen": channel, "provider_chosen": kind.key}
    return type("ProviderAccountForm", (ProviderAccountForm,), {**fields, **chosen})


def credential_fields(kind: type[Provider[Any]], account: ProviderAccount | None) -> list[str]:
    """The names of the form's fields for credentials, in the order of their declaration."""
    return [name for name in form_for(kind, account, "").declared_fields if name.startswith((FIELD, FORGET))]


def _field(declared: Credential, stored: str) -> forms.Field:
    needed = declared.required and not declared.default
    if declared.secret:
        hint = "Set. Leave it empty to keep it." if stored else "Not set." if not needed else ""
        widget = SecretTextarea if is_many_lines(declared) else UnfoldAdminPasswordWidget
        attrs = {**_NO_FILL, "autocomplete": "new-password"}
        if is_many_lines(declared):
            attrs |= {"rows": "4", "class": "cc-code"}
        return forms.CharField(
            label=_label(declared),
            required=needed and not stored,
            strip=True,
            help_text=" ".join(filter(None, (declared.help, hint))),
            widget=widget(attrs=attrs),
        )
    if declared.choices:
        return forms.ChoiceField(
            label=_label(declared),
            required=False,
            choices=[(choice, choice) for choice in declared.choices],
            initial=stored or declared.default or declared.choices[0],
            help_text=declared.help,
            widget=UnfoldAdminSelectWidget,
        )
    return forms.CharField(
        label=_label(declared),
        required=needed,
        initial=stored or declared.default,
        help_text=declared.help,
        widget=UnfoldAdminTextareaWidget(attrs={**_NO_FILL, "rows": "4", "class": "cc-code"})
        if is_many_lines(declared)
        else UnfoldAdminTextInputWidget(attrs=_NO_FILL),
    )


def _label(declared: Credential) -> str:
    return declared.label or declared.name.replace("_", " ").capitalize()
