"""The close codes of the protocol (RFC 6455 section 7.4; 4000 and up are ours)."""

from __future__ import annotations

from typing import Final

TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011
RESTART: Final = 1012
PROTOCOL_ERROR: Final = 4400
NOT_AUTHENTICATED: Final = 4401
REVOKED: Final = 4403
TOO_SLOW: Final = 4408
RATE_LIMITED: Final = 4429
