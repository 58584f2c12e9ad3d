"""How a request to the API says who it is from.

- ``Authorization: Api-Key cc_<prefix>_<secret>``: a server of one organization.
- ``Authorization: Bearer <JWT>``: a person, with the access token of allauth headless.
- the session cookie: a person in a browser; unsafe methods need the CSRF token.
"""

from __future__ import annotations

from typing import Any

from allauth.headless.contrib.rest_framework.authentication import JWTTokenAuthentication
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import ApiKey, User
from accounts.realtime import session_key_of_token
from accounts.services.api_keys import authenticate_key


class KeyHolder:
    """Stands where DRF expects a user when a server calls with an API key."""

    is_authenticated = True
    is_anonymous = False
    is_active = True
    is_staff = False
    is_superuser = False

    def __init__(self, key: ApiKey) -> None:
        self.key = key
        # What throttles and logs take as the caller's identity.
        self.pk = self.id = f"key:{key.id}"

    def __str__(self) -> str:
        return self.pk

    def get_username(self) -> str:
        return self.pk


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """``Authorization: Api-Key …``: one query, with the organization; 401 for a key that does not work."""

    keyword = b"api-key"

    def authenticate(self, request: Request) -> tuple[Any, ApiKey] | None:
        parts = authentication.get_authorization_header(request).split()
        if not parts or parts[0].lower() != self.keyword:
            return None
        key = authenticate_key(parts[1].decode("ascii", "replace")) if len(parts) == 2 else None
        if key is None:
            raise AuthenticationFailed("This API key is unknown, revoked or expired.")
        return KeyHolder(key), key

    def authenticate_header(self, request: Request) -> str:
        # The first class of the settings names the challenge of every 401.
        return 'Bearer realm="api", Api-Key realm="api"'


class JWTAuthentication(JWTTokenAuthentication):  # type: ignore[misc]
    """``Authorization: Bearer <access token>`` of allauth headless; ends with its session."""

    def authenticate_credentials(self, key: str) -> tuple[User, dict[str, Any]]:
        user, payload = super().authenticate_credentials(key)
        if not user.is_active:
            raise AuthenticationFailed("This account is not active.")
        return user, payload


class SessionAuthentication(authentication.SessionAuthentication):
    """The session cookie, with CSRF for unsafe methods, and 401 (not 403) for who is not signed in."""

    def authenticate_header(self, request: Request) -> str:
        return 'Session realm="api"'


def session_key_of(request: Request) -> str:
    """The key of the session behind this request, by cookie or by access token; empty for none."""
    if isinstance(request.auth, dict):
        return session_key_of_token(request.auth)
    return request.session.session_key or ""
