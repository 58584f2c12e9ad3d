"""People, organizations and their keys: one file per noun."""

from accounts.models.api_keys import ApiKey
from accounts.models.organizations import Membership, Organization
from accounts.models.users import User

__all__ = ["ApiKey", "Membership", "Organization", "User"]
