"""Twilio's and Amazon SNS' stand-ins, called by their own clients."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from notifications.stand_ins import StandIn

from .conftest import DELIVERY

NUMBER = "+4915112345678"


def _text(server: StandIn, **fields: Any) -> Any:
    client = Client("AC0", "token")
    client.api.base_url = server.url("twilio")
    return client.messages.create(**({"to": NUMBER, "from_": "+15005550006", "body": "Hi"} | fields))


def _publish(server: StandIn, **fields: Any) -> Any:
    client = boto3.client(
        "sns",
        endpoint_url=server.url("sns"),
        region_name="eu-central-1",
        aws_access_key_id="id",
        aws_secret_access_key="key",
        config=Config(retries={"total_max_attempts": 1}),
    )
    return client.publish(**({"PhoneNumber": NUMBER, "Message": "Hi & <bye>"} | fields))


def test_twilio_takes_a_text_and_finds_the_delivery_in_the_callback(server: StandIn) -> None:
    said = _text(server, status_callback=f"https://castcomm.example/webhooks/twilio?delivery={DELIVERY}")
    (accepted,) = server.accepted("twilio")
    assert (said.sid, said.status, said.to) == (accepted.message_id, "queued", NUMBER)
    assert accepted.delivery_id == DELIVERY
    assert accepted.body["Body"] == "Hi"


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"to": "0151"}, 21211), ({"body": "x" * 1601}, 21617), ({"to": "+15005550009"}, 21610)],
)
def test_twilio_refuses_with_its_code(server: StandIn, fields: dict[str, str], code: int) -> None:
    server.refuse_recipient("twilio", "+15005550009")
    with pytest.raises(TwilioRestException) as refused:
        _text(server, **fields)
    assert (refused.value.status, refused.value.code) == (400, code)
    assert server.accepted("twilio") == []


def test_sns_takes_a_text(server: StandIn) -> None:
    said = _publish(server)
    (accepted,) = server.accepted("sns")
    assert (said["MessageId"], accepted.to, accepted.body["Message"]) == (
        accepted.message_id,
        NUMBER,
        "Hi & <bye>",
    )


@pytest.mark.parametrize(
    ("mode", "code", "status"),
    [
        ("429", "Throttling", 400),
        ("503", "ServiceUnavailable", 503),
        ("400", "InvalidParameter", 400),
        ("401", "InvalidClientTokenId", 403),
        ("500", "InternalError", 500),
    ],
)
def test_sns_fails_as_amazon_does(server: StandIn, mode: str, code: str, status: int) -> None:
    server.break_("sns", mode=mode)
    with pytest.raises(ClientError) as failed:
        _publish(server)
    assert failed.value.response["Error"]["Code"] == code
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert server.accepted("sns") == []
