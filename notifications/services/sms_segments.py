"""How many segments a text takes as an SMS, which is what providers charge for (3GPP TS 23.038 and TS 23.040).

A text that is all in the GSM 7-bit alphabet has 160 characters in one message, or 153 in each of several: the other
seven make room for the header that puts them together. Characters of the extension table are sent as two (escape and
character), which stay in one segment. Any other character turns the whole text into UCS-2, with 70 code units or 67;
a character outside the Basic Multilingual Plane is two code units, which stay in one segment as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# TS 23.038, 6.2.1: position 0x00 to 0x7F without 0x1B, which is the escape to the extension table.
GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# TS 23.038, 6.2.1.1; the form feed is its page break.
GSM_EXTENSION = frozenset("\f^{}\\[~]|€")

GSM_7: Literal["GSM-7"] = "GSM-7"
UCS_2: Literal["UCS-2"] = "UCS-2"
# By encoding: units in a message of one segment, and in each of several.
LIMITS = {GSM_7: (160, 153), UCS_2: (70, 67)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """How a text travels. ``characters`` are what is counted: septets in GSM-7, 16-bit code units in UCS-2.

    ``per_segment`` is how many of them fit into each segment of a message of this length; ``because`` are the
    characters, each once and at most ten, that GSM-7 has not.
    """

    encoding: Literal["GSM-7", "UCS-2"]
    characters: int
    segments: int
    per_segment: int
    because: tuple[str, ...] = ()


def count_segments(text: str) -> Segments:
    """Count ``text`` as handsets and providers do; an empty one still takes a segment when it is sent."""
    foreign = tuple(dict.fromkeys(one for one in text if one not in GSM_BASIC and one not in GSM_EXTENSION))
    encoding = UCS_2 if foreign else GSM_7
    widths = [_width(one, encoding) for one in text]
    characters = sum(widths)
    alone, joined = LIMITS[encoding]
    if characters <= alone:
        return Segments(
            encoding=encoding, characters=characters, segments=1, per_segment=alone, because=foreign[:10]
        )
    return Segments(
        encoding=encoding,
        characters=characters,
        segments=_segments(widths, joined),
        per_segment=joined,
        because=foreign[:10],
    )


def segments_hint(counted: Segments) -> str:
    """What to change so that it costs less, as a sentence; empty where GSM-7 is used."""
    if counted.encoding == GSM_7:
        return ""
    named = ", ".join(_named(one) for one in counted.because)
    place = 0 if counted.segments == 1 else 1
    return (
        f"Not in the GSM alphabet: {named}. Without this, a segment holds {LIMITS[GSM_7][place]} characters"
        f" instead of {counted.per_segment}."
    )


def _named(character: str) -> str:
    code = f"U+{ord(character):04X}"
    return f"{character} ({code})" if character.isprintable() else code


def _width(character: str, encoding: str) -> int:
    if encoding == GSM_7:
        return 2 if character in GSM_EXTENSION else 1
    return 2 if ord(character) > 0xFFFF else 1


def _segments(widths: Iterable[int], limit: int) -> int:
    """Fill one segment after the other; what takes two units and finds one free goes into the next."""
    count, free = 1, limit
    for width in widths:
        if width > free:
            count, free = count + 1, limit
        free -= width
    return count
