"""How allauth works here: who may sign up, where they belong, how its mail goes out."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """Sign-up through allauth's pages and its headless API."""
