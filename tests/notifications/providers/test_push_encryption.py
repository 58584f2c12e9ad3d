"""What is encrypted and signed for a push: the standards' own example, and another implementation's reading of it."""

from __future__ import annotations

import base64
import os
import time

import http_ece
import orjson
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02

from notifications.providers.push.encryption import (
    LARGEST_TEXT,
    BadReceiver,
    base64url_decoded,
    encrypt,
    receiver_of,
)
from notifications.providers.push.vapid import BadVapidKeys, authorization, make_keys, read_keys

# RFC 8291, Appendix A.
TEXT = b"When I grow up, I want to be a watermelon"
RECEIVER_PRIVATE = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
RECEIVER_PUBLIC = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
SENDER_PRIVATE = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
SECRET = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8w"
    "EqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def private_key(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(base64url_decoded(text), "big"), ec.SECP256R1())


def test_the_example_of_the_standard_byte_for_byte() -> None:
    body = encrypt(
        TEXT,
        receiver_of(RECEIVER_PUBLIC, SECRET),
        sender=private_key(SENDER_PRIVATE),
        salt=base64url_decoded(SALT),
    )
    assert body == base64url_decoded(BODY)


@pytest.mark.parametrize("length", [0, 1, 500, LARGEST_TEXT])
def test_another_implementation_can_read_it(length: int) -> None:
    text = os.urandom(length)
    body = encrypt(text, receiver_of(RECEIVER_PUBLIC, SECRET))
    assert len(body) <= 4096
    read = http_ece.decrypt(
        body,
        private_key=private_key(RECEIVER_PRIVATE),
        auth_secret=base64url_decoded(SECRET),
        version="aes128gcm",
    )
    assert read == text


def test_no_two_pushes_share_a_key_or_a_salt() -> None:
    receiver = receiver_of(RECEIVER_PUBLIC, SECRET)
    first, second = encrypt(TEXT, receiver), encrypt(TEXT, receiver)
    assert first[:16] != second[:16]
    assert first[21:86] != second[21:86]


def test_what_does_not_fit_in_a_record_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 3993"):
        encrypt(b"x" * (LARGEST_TEXT + 1), receiver_of(RECEIVER_PUBLIC, SECRET))


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [
        ("", SECRET),
        ("AA", SECRET),
        ("***", SECRET),
        ("BA" + "A" * 85, SECRET),  # no point on the curve
        (RECEIVER_PUBLIC, ""),
        (RECEIVER_PUBLIC, "AA"),
        (RECEIVER_PUBLIC, "é"),
    ],
)
def test_keys_that_are_none_are_refused(p256dh: str, auth: str) -> None:
    with pytest.raises(BadReceiver) as refused:
        receiver_of(p256dh, auth)
    assert refused.value.field == ("auth" if p256dh == RECEIVER_PUBLIC else "p256dh")


def test_another_implementation_accepts_the_signature() -> None:
    public, private = make_keys()
    hour = int(time.time()) // 3600
    header = authorization(
        read_keys(private, public),
        audience="https://push.example.com",
        subject="mailto:a@example.com",
        hour=hour,
    )
    assert Vapid02.verify(header)
    head, claims, _ = header.removeprefix("vapid t=").partition(",k=")[0].split(".")
    assert orjson.loads(base64url_decoded(head)) == {"typ": "JWT", "alg": "ES256"}
    told = orjson.loads(base64url_decoded(claims))
    assert (told["aud"], told["sub"]) == ("https://push.example.com", "mailto:a@example.com")
    # Good for the whole hour in which it is used, and never beyond the 24 hours of RFC 8292, 2.
    assert 12 * 3600 < told["exp"] - time.time() <= 24 * 3600
    assert header.endswith(f",k={public}")


def forms(private: str) -> list[str]:
    """The same key in the forms in which people have it."""
    key = private_key(private)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    der = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return [private, f"{private}=", pem, pem.replace("\n", "\\n"), base64.urlsafe_b64encode(der).decode()]


def test_keys_are_read_in_every_form() -> None:
    public, private = make_keys()
    pem = (
        private_key(private)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    for form in forms(private):
        for written in ("", public, pem):
            keys = read_keys(form, written)
            assert keys.public == public
            keys.private.public_key().verify(
                keys.private.sign(b"x", ec.ECDSA(hashes.SHA256())), b"x", ec.ECDSA(hashes.SHA256())
            )


@pytest.mark.parametrize(
    ("private", "public", "named"),
    [
        ("no key", "", "VAPID_PRIVATE_KEY"),
        ("A" * 43, "", "VAPID_PRIVATE_KEY"),  # zero is no private key
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "", "VAPID_PRIVATE_KEY"),
        (SENDER_PRIVATE, "no key", "VAPID_PUBLIC_KEY"),
        (SENDER_PRIVATE, "AAAA", "VAPID_PUBLIC_KEY"),
        (SENDER_PRIVATE, RECEIVER_PUBLIC, "does not belong"),
    ],
)
def test_a_wrong_pair_is_told_by_its_name(private: str, public: str, named: str) -> None:
    with pytest.raises(BadVapidKeys, match=named) as told:
        read_keys(private, public)
    assert SENDER_PRIVATE not in str(told.value)
