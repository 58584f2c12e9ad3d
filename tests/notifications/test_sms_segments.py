"""What an SMS costs: segments as handsets and providers count them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.services.sms_segments import (
    GSM_BASIC,
    GSM_EXTENSION,
    count_segments,
    segments_hint,
)

SMILE = "\U0001f600"

CASES = [
    # text, encoding, characters, segments, per segment
    ("", "GSM-7", 0, 1, 160),
    ("Hello", "GSM-7", 5, 1, 160),
    ("a" * 160, "GSM-7", 160, 1, 160),
    ("a" * 161, "GSM-7", 161, 2, 153),
    ("a" * 306, "GSM-7", 306, 2, 153),
    ("a" * 307, "GSM-7", 307, 3, 153),
    ("äöüÄÖÜß àèéùìò ñÑ øØ åÅ æÆ ÉÇ", "GSM-7", 29, 1, 160),
    ("ΔΦΓΛΩΠΨΣΘΞ ¡¿£$¥§¤", "GSM-7", 18, 1, 160),
    ("5 €", "GSM-7", 4, 1, 160),
    ("[{}]\\^~|€\f", "GSM-7", 20, 1, 160),
    ("€" * 80, "GSM-7", 160, 1, 160),
    ("€" * 80 + "a", "GSM-7", 161, 2, 153),
    # 153 is odd: 76 fit into a segment and the last place stays empty.
    ("€" * 152, "GSM-7", 304, 2, 153),
    ("€" * 153, "GSM-7", 306, 3, 153),
    ("a" * 152 + "€" + "a" * 151, "GSM-7", 305, 2, 153),
    ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3, 153),
    # Looks like GSM and is not.
    ("ç", "UCS-2", 1, 1, 70),
    ("`", "UCS-2", 1, 1, 70),
    ("\t", "UCS-2", 1, 1, 70),
    ("It’s", "UCS-2", 4, 1, 70),
    ("ж" * 70, "UCS-2", 70, 1, 70),
    ("ж" * 71, "UCS-2", 71, 2, 67),
    ("ж" * 134, "UCS-2", 134, 2, 67),
    ("ж" * 135, "UCS-2", 135, 3, 67),
    ("€ж", "UCS-2", 2, 1, 70),
    (SMILE, "UCS-2", 2, 1, 70),
    (SMILE * 35, "UCS-2", 70, 1, 70),
    (SMILE * 36, "UCS-2", 72, 2, 67),
    # 67 is odd: 33 pairs fit into a segment.
    (SMILE * 66, "UCS-2", 132, 2, 67),
    (SMILE * 67, "UCS-2", 134, 3, 67),
    ("a" * 66 + SMILE + "a" * 65, "UCS-2", 133, 2, 67),
    ("a" * 66 + SMILE + "a" * 66, "UCS-2", 134, 3, 67),
    ("a" * 159 + "ж", "UCS-2", 160, 3, 67),
]


@pytest.mark.parametrize(("text", "encoding", "characters", "segments", "per_segment"), CASES)
def test_table(text: str, encoding: str, characters: int, segments: int, per_segment: int) -> None:
    counted = count_segments(text)

    found = (counted.encoding, counted.characters, counted.segments, counted.per_segment)
    assert found == (encoding, characters, segments, per_segment)


def test_the_alphabet_has_as_many_characters_as_the_standard() -> None:
    assert len(GSM_BASIC) == 127
    assert len(GSM_EXTENSION) == 10
    assert not GSM_BASIC & GSM_EXTENSION


def test_the_hint_names_what_makes_it_expensive() -> None:
    hint = segments_hint(count_segments("It’s ж\u200b"))

    assert "’ (U+2019), ж (U+0436), U+200B" in hint
    assert "160 characters instead of 70" in hint
    assert "153 characters instead of 67" in segments_hint(count_segments("ж" * 71))
    assert segments_hint(count_segments("plain")) == ""


gsm_text = st.text(st.sampled_from(sorted(GSM_BASIC | GSM_EXTENSION)), max_size=800)
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


def _sent(text: str, limit: int, units: int) -> list[str]:
    """The text cut into the messages that would be sent, as a phone would: no character is ever cut."""
    parts, part, used = [], "", 0
    for character in text:
        width = len(character.encode("utf-16-be")) // 2 if units == 16 else 1 + (character in GSM_EXTENSION)
        if used + width > limit:
            parts.append(part)
            part, used = "", 0
        part, used = part + character, used + width
    return [*parts, part]


@given(st.one_of(gsm_text, any_text))
def test_the_text_fits_into_the_segments_counted_and_not_into_fewer(text: str) -> None:
    counted = count_segments(text)

    assert counted.characters <= counted.segments * counted.per_segment
    # Every segment but the last is full, except for one place that a character of two could not take.
    full = counted.segments - 1
    assert full == 0 or counted.characters > full * (counted.per_segment - 1)
    parts = _sent(text, counted.per_segment, 16 if counted.encoding == "UCS-2" else 7)
    assert len(parts) == counted.segments
    assert "".join(parts) == text


@given(any_text)
def test_ucs2_is_used_only_when_a_character_asks_for_it(text: str) -> None:
    counted = count_segments(text)

    outside = [one for one in text if one not in GSM_BASIC | GSM_EXTENSION]
    assert (counted.encoding == "UCS-2") == bool(outside)
    assert set(counted.because) <= set(outside)
    if outside:
        assert counted.characters == len(text.encode("utf-16-be")) // 2
