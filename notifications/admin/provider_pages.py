"""Pages beside the list of provider accounts: which provider to add, a test through one, and its breaker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.timezone import localtime
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin.tenancy import is_superuser
from accounts.models import User
from castcomm.common.clock import now
from castcomm.common.errors import CastCommError, InvalidInput
from notifications.models import BreakerState, ProviderAccount
from notifications.providers.base import Account, Result, providers_of
from notifications.services import breakers
from notifications.services.account_activity import recent_attempts
from notifications.services.breakers import BreakerView
from notifications.services.provider_accounts import (
    ENVIRONMENT,
    PRIMARY_SETTINGS,
    account_of,
    environment_accounts,
)
from notifications.services.provider_tests import send_test
from notifications.vocabulary import Channel, Outcome

STOP_SECONDS = 3600
RECIPIENTS = {
    Channel.EMAIL: ("E-mail address", "email", ""),
    Channel.SMS: ("Phone number", "tel", "With its country code, like +12025550123."),
    Channel.PUSH: ("E-mail address", "email", "Of somebody who has a device here."),
}
OUTCOMES = {
    Outcome.SENT: ("Taken", "success", "The provider has taken it. Whether it arrives shows in the inbox."),
    Outcome.NOT_SENT: ("Not sent", "warning", "It has certainly not been sent. Another try may succeed."),
    Outcome.PERMANENT: ("Refused", "danger", "It has certainly not been sent, and no further try will be."),
    Outcome.UNKNOWN: ("Unknown", "warning", "Nobody knows: the provider broke off after it had the message."),
}


class TestForm(forms.Form):
    """To whom."""

    recipient = forms.CharField(max_length=254)

    def __init__(self, channel: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        label, kind, hint = RECIPIENTS[Channel(channel)]
        field = self.fields["recipient"]
        field.label, field.help_text = label, hint
        field.widget = UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"})
        field.widget.input_type = kind


def badge_of(view: BreakerView) -> tuple[str, str]:
    """A breaker's state in a few words, and the colour of its badge."""
    if view.state == BreakerState.CLOSED:
        return "Closed", "success"
    if view.state == BreakerState.HALF_OPEN:
        return "Probing", "warning"
    if view.open_until is None or view.open_until <= now():
        return "Next one probes", "warning"
    until = localtime(view.open_until)
    shown = until.strftime("%H:%M:%S" if until.date() == localtime(now()).date() else "%d %b, %H:%M")
    return f"Open until {shown}", "danger"


def choose_page(model_admin: Any, request: HttpRequest) -> HttpResponse:
    """The first step of adding: a channel and a provider."""
    channels = [
        {
            "label": Channel(channel).label,
            "providers": [
                {"key": key, "label": kind.label or key, "address": f"?channel={channel}&provider={key}"}
                for key, kind in providers_of(channel).items()
                if key != "console" or settings.DEBUG
            ],
        }
        for channel in PRIMARY_SETTINGS
    ]
    context = {**_context(model_admin, request, "Add a provider account"), "channels": channels}
    return TemplateResponse(request, "admin/notifications/provideraccount/choose.html", context)


def test_page(model_admin: Any, request: HttpRequest, key: str) -> HttpResponse:
    """Send one message through this account and say what came of it."""
    account, row = _account(model_admin, request, key)
    assert isinstance(request.user, User)
    start = {"recipient": "" if account.channel == Channel.SMS else request.user.email}
    form = TestForm(account.channel, request.POST) if request.method == "POST" else None
    shown = None
    if form is not None and form.is_valid():
        try:
            result = send_test(account=account, recipient=form.cleaned_data["recipient"], by=request.user.pk)
        except InvalidInput as error:
            form.add_error("recipient", error.message)
        except CastCommError as error:
            form.add_error(None, error.message)
        else:
            shown = _shown(result)
            if row is not None:
                model_admin.log_change(request, row, f"Test sent: {shown['label'].lower()}.")
    context = {
        **_context(model_admin, request, f"Send a test through {account.name}"),
        "account": account,
        "row": row,
        "form": form or TestForm(account.channel, initial=start),
        "result": shown,
        "key": key,
        "breaker": _breaker(key),
    }
    return TemplateResponse(request, "admin/notifications/provideraccount/test.html", context)


def breaker_page(model_admin: Any, request: HttpRequest, key: str) -> HttpResponse:
    """The breaker of an account, why it is so, and what was sent through it lately."""
    account, row = _account(model_admin, request, key)
    if request.method == "POST":
        act: dict[str, Callable[[], str]] = {
            "_reset": lambda: reset_breaker(key),
            "_stop": lambda: stop_for_an_hour(key, request),
        }
        chosen = next((act[name] for name in act if name in request.POST), None)
        if chosen is None:
            raise Http404
        done = chosen()
        if row is not None:
            model_admin.log_change(request, row, done)
        model_admin.message_user(request, done, messages.SUCCESS)
        return redirect(reverse("admin:notifications_provideraccount_breaker", args=[key]))
    context = {
        **_context(model_admin, request, f"Breaker of {account.name}"),
        "account": account,
        "row": row,
        "key": key,
        "breaker": _breaker(key),
        "attempts": [(one, _outcome(one.outcome)) for one in recent_attempts(key)],
    }
    return TemplateResponse(request, "admin/notifications/provideraccount/breaker.html", context)


def reset_breaker(key: str) -> str:
    """Close it; returns what to say."""
    breakers.reset(key)
    return "The breaker is closed: messages pass again."


def stop_for_an_hour(key: str, request: HttpRequest) -> str:
    """Open it by hand; returns what to say."""
    assert isinstance(request.user, User)
    reason = f"Stopped by {request.user.display_name}."
    breakers.open_by_hand(key, seconds=STOP_SECONDS, reason=reason)
    return "Stopped for an hour: nothing is sent through it, and then one message tries it."


def _account(model_admin: Any, request: HttpRequest, key: str) -> tuple[Account, ProviderAccount | None]:
    """The account with this key, if this person may act on it; the environment's are the superusers'."""
    if key.startswith(ENVIRONMENT):
        if not is_superuser(request):
            raise Http404
        found = (one for channel in PRIMARY_SETTINGS for one in environment_accounts(channel))
        account = next((one for one in found if one.key == key), None)
        if account is None:
            raise Http404
        return account, None
    row: ProviderAccount | None = model_admin.get_object(request, key)
    if row is None:
        raise Http404
    if not model_admin.has_change_permission(request, row):
        raise PermissionDenied
    return account_of(row), row


def _breaker(key: str) -> dict[str, Any]:
    view = breakers.states([key])[key]
    label, colour = badge_of(view)
    return {"view": view, "label": label, "colour": colour, "is_closed": view.state == BreakerState.CLOSED}


def _shown(result: Result) -> dict[str, Any]:
    label, colour, meaning = OUTCOMES[result.outcome]
    return {"label": label, "colour": colour, "meaning": meaning, "result": result}


def _outcome(outcome: str) -> tuple[str, str]:
    if not outcome:
        return "Cut short", "warning"
    label, colour, _ = OUTCOMES[Outcome(outcome)]
    return label, colour


def _context(model_admin: Any, request: HttpRequest, title: str) -> dict[str, Any]:
    return {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "model_admin": model_admin,
        "media": model_admin.media,
    }
