"""How allauth works here: who may sign up, and where they belong.

Whoever signs up, on the page, through the headless API or with another service's account, becomes a
member of one organization in the same transaction. UserRegistered, which starts workflows, is published
in the transaction that confirms the address (at once when another service vouches for it). Where there is no
organization to join, sign-up is closed.
"""

from __future__ import annotations

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.account.signals import email_confirmed, user_signed_up
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from allauth.socialaccount.signals import social_account_added
from django.db import transaction
from django.http import HttpRequest

from accounts.events import AccountLinked, EmailVerified
from accounts.models import Organization, User
from accounts.selectors import organization_for_sign_up
from accounts.services.users import announce_registration, welcome_user
from castcomm.common import events

# ?organization=<slug> on the sign-up page is remembered until the form comes back.
_SESSION_KEY = "sign_up_organization"


def sign_up_organization(request: HttpRequest) -> Organization | None:
    """The organization that this sign-up joins, or None when there is none."""
    named = request.GET.get("organization", "").strip()
    if named:
        request.session[_SESSION_KEY] = named
    return organization_for_sign_up(str(request.session.get(_SESSION_KEY, "")))


def announce_if_verified(user: User) -> None:
    """Publish UserRegistered now when the address needs no confirmation, because someone vouches for it."""
    if EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists():
        announce_registration(user.id)


def on_signed_up(sender: Any, user: User, **_: Any) -> None:
    announce_if_verified(user)


def on_email_confirmed(sender: Any, email_address: EmailAddress, **_: Any) -> None:
    with transaction.atomic():
        announce_registration(email_address.user_id)
        events.publish(EmailVerified(user_id=email_address.user_id, email=email_address.email))


def on_account_added(sender: Any, sociallogin: Any, **_: Any) -> None:
    account = sociallogin.account
    events.publish(AccountLinked(user_id=account.user_id, provider=account.provider))


user_signed_up.connect(on_signed_up, dispatch_uid="accounts.on_signed_up")
email_confirmed.connect(on_email_confirmed, dispatch_uid="accounts.on_email_confirmed")
social_account_added.connect(on_account_added, dispatch_uid="accounts.on_account_added")


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Sign-up with an address and a password, on the page and through the headless API."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return sign_up_organization(request) is not None

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        if not commit:
            unsaved: User = super().save_user(request, user, form, commit=False)
            return unsaved
        organization = sign_up_organization(request)
        assert organization is not None, "sign-up is closed without an organization"
        user.locale, user.time_zone = organization.locale, organization.time_zone
        with transaction.atomic():
            saved: User = super().save_user(request, user, form, commit=True)
            welcome_user(user=saved, organization=organization, verified=False)
        request.session.pop(_SESSION_KEY, None)
        return saved

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        # Confirmed and announced, or neither: the link works until both are done.
        with transaction.atomic():
            confirmed: bool = super().confirm_email(request, email_address)
        return confirmed


class SocialAccountAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]
    """Sign-up with an account of another service."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: SocialLogin) -> bool:
        return sign_up_organization(request) is not None

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Any = None) -> User:
        if form is not None:
            # Goes through AccountAdapter.save_user, which gives the membership.
            with transaction.atomic():
                through_form: User = super().save_user(request, sociallogin, form)
                announce_if_verified(through_form)
            return through_form
        organization = sign_up_organization(request)
        assert organization is not None, "sign-up is closed without an organization"
        with transaction.atomic():
            user: User = super().save_user(request, sociallogin, form)
            welcome_user(user=user, organization=organization, verified=False)
            announce_if_verified(user)
        request.session.pop(_SESSION_KEY, None)
        return user
