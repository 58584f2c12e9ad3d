"""Phone numbers in what providers say: the ledger keeps none that can be read."""

from __future__ import annotations


def without_number(text: str, phone: str) -> str:
    """``text`` with the recipient's number (E.164) taken out, with or without its plus."""
    return text.replace(phone, "…").replace(phone.removeprefix("+"), "…")
