"""The admin of people, organizations and keys: one file per noun."""

from accounts.admin import api_keys, organizations, users

__all__ = ["api_keys", "organizations", "users"]
