"""Which addresses users' webhooks and servers may lead to."""

from __future__ import annotations

import pytest

from castcomm.common.public_addresses import is_public


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "168.63.129.16",
        "169.254.169.254",
        "192.0.0.9",
        "192.0.0.170",
        "192.88.99.1",
        "198.18.0.1",
        "198.19.255.255",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::7f00:1",
        "::1:0:0:0",
        "::ffff:10.0.0.1",
        "::ffff:168.63.129.16",
        "::ffff:0:10.0.0.1",
        "::ffff:0:8.8.8.8",
        "64:ff9b::a00:1",
        "64:ff9b::808:808",
        "64:ff9b:1::a00:1",
        "100::1",
        "2001::1",
        "2001:1::1",
        "2001:db8::1",
        "2002:a00:1::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "feff::1",
        "ff0e::1",
    ],
)
def test_what_is_not_on_the_public_internet(address: str) -> None:
    assert not is_public(address, allow_loopback=False)
    assert not is_public(address, allow_loopback=True)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "168.63.129.15", "100.128.0.1", "198.20.0.1", "::ffff:8.8.8.8", "2606:4700::1111"]
)
def test_what_is(address: str) -> None:
    assert is_public(address, allow_loopback=False)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_loopback_is_for_those_who_ask(address: str) -> None:
    assert is_public(address, allow_loopback=True)
    assert not is_public(address, allow_loopback=False)
