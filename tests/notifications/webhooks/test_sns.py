"""Amazon SES over SNS: whose certificate counts, which topics may speak, and confirming a subscription."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from notifications.models import ProviderEvent

from . import senders

pytestmark = pytest.mark.django_db


@pytest.fixture
def posted(amazon: senders.Amazon, make_account: Any, sent: Any, said: Any) -> Any:
    """Post a message of the topic about a delivery, with some of its fields changed before or after signing."""
    account, delivery = make_account("amazon_ses"), sent("amazon_ses")
    event = senders.ses_event(said("delivered", delivery))

    def post(after: dict[str, Any] | None = None, **fields: Any) -> int:
        request = amazon.post(event, account=account.id, **fields)
        if after:
            message = {**senders.orjson.loads(request.body), **after}
            request = amazon.wrap(message, account=account.id)
        return int(request.send().status_code)

    return post


@pytest.mark.parametrize("version", ["1", "2"])
def test_both_versions_of_the_signature(posted: Any, version: str, amazon: Any) -> None:
    assert posted(version=version) == 200
    assert posted(version=version) == 200
    assert ProviderEvent.objects.count() == 2
    assert len(amazon.asked) == 1, "the certificate is kept"


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-central-1.amazonaws.com/SimpleNotificationService-" + "0a" * 16 + ".pem",
        "https://sns.eu-central-1.amazonaws.com.example.com/SimpleNotificationService-" + "0a" * 16 + ".pem",
        "https://example.com/SimpleNotificationService-" + "0a" * 16 + ".pem",
        "https://sns.eu-central-1.amazonaws.com@example.com/SimpleNotificationService-" + "0a" * 16 + ".pem",
        "https://bucket.s3.amazonaws.com/SimpleNotificationService-" + "0a" * 16 + ".pem",
        "https://sns.eu-central-1.amazonaws.com:8443/SimpleNotificationService-" + "0a" * 16 + ".pem",
        # Amazon's in form, but not where the topic is: no such region, and another one.
        "https://sns.nowhere-1.amazonaws.com/SimpleNotificationService-" + "0a" * 16 + ".pem",
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-" + "0a" * 16 + ".pem",
        "https://sns.eu-central-1.amazonaws.com/other.pem",
        "https://[::1/x.pem",
        "",
    ],
)
def test_a_certificate_from_elsewhere_is_not_even_fetched(posted: Any, url: str, amazon: Any) -> None:
    assert posted(SigningCertURL=url) == 401
    assert not amazon.asked
    assert not ProviderEvent.objects.exists()


@pytest.mark.parametrize(("answer", "status"), [(404, 401), (403, 401), (400, 401), (500, 503), (429, 503)])
def test_a_made_up_certificate_is_a_wrong_signature_and_looked_for_a_while(
    posted: Any, amazon: Any, answer: int, status: int
) -> None:
    """While Amazon itself fails, its true messages are to come again; those who make us ask are counted anyway."""
    amazon.status = answer
    answers = []
    while 429 not in answers and len(answers) < 200:
        number = len(answers)
        answers.append(
            posted(
                SigningCertURL=f"https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-{number:032x}.pem"
            )
        )
    assert set(answers) == {status, 429}
    assert len(amazon.asked) == len(answers) - 1 >= 60
    assert not ProviderEvent.objects.exists()


@pytest.mark.parametrize(
    ("after", "status"),
    [
        ({"TopicArn": "arn:aws:sns:eu-central-1:999:somebody-elses"}, 403),
        ({"Message": '{"eventType": "Complaint"}'}, 401),
        ({"Signature": "not base64!"}, 401),
        ({"SignatureVersion": "3"}, 401),
        ({"Type": "Other"}, 401),
    ],
)
def test_what_was_changed_on_the_way_is_refused(posted: Any, after: dict[str, Any], status: int) -> None:
    assert posted(after) == status
    assert not ProviderEvent.objects.exists()


def test_anothers_topic_is_refused_although_amazon_signed_it(posted: Any) -> None:
    assert posted(TopicArn="arn:aws:sns:eu-central-1:999999999999:mine") == 403
    assert not ProviderEvent.objects.exists()


def test_messages_of_yesterday_are_refused(posted: Any) -> None:
    old = dt.datetime.now(dt.UTC) - dt.timedelta(hours=9)
    assert posted(Timestamp=old.strftime("%Y-%m-%dT%H:%M:%S.000Z")) == 401


def test_a_subscription_to_a_listed_topic_is_confirmed(amazon: Any, make_account: Any) -> None:
    account = make_account("amazon_ses")
    url = f"https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={senders.TOPIC}&Token=t1"
    message = amazon.message(
        "SubscriptionConfirmation", Message="You have chosen to subscribe.", Token="t1", SubscribeURL=url
    )
    assert amazon.wrap(message, account=account.id).send().status_code == 200
    assert amazon.asked[-1] == url.removeprefix("https://sns.eu-central-1.amazonaws.com")


@pytest.mark.parametrize(
    ("url", "topic"),
    [
        ("https://sns.eu-central-1.amazonaws.com/?Action=Unsubscribe&TopicArn={topic}", senders.TOPIC),
        ("https://example.com/?Action=ConfirmSubscription&TopicArn={topic}", senders.TOPIC),
        ("http://169.254.169.254/?Action=ConfirmSubscription&TopicArn={topic}", senders.TOPIC),
        (
            "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={topic}",
            "arn:aws:sns:eu-central-1:9:other",
        ),
    ],
)
def test_nothing_else_is_called(amazon: Any, make_account: Any, url: str, topic: str) -> None:
    account = make_account("amazon_ses")
    message = amazon.message(
        "SubscriptionConfirmation",
        Message="…",
        Token="t1",
        TopicArn=topic,
        SubscribeURL=url.format(topic=topic),
    )
    assert amazon.wrap(message, account=account.id).send().status_code in (401, 403)
    assert all(asked.endswith(".pem") for asked in amazon.asked)


def test_what_ses_writes_to_try_the_topic_is_answered(amazon: Any, make_account: Any) -> None:
    account = make_account("amazon_ses")
    message = amazon.message(
        Message="Successfully validated SNS topic for Amazon SES event publishing.", Subject="Amazon SES"
    )
    assert amazon.wrap(message, account=account.id).send().status_code == 200
    assert not ProviderEvent.objects.exists()


def test_each_bounced_address_is_an_event_of_its_own(
    amazon: Any, make_account: Any, sent: Any, said: Any
) -> None:
    account, delivery = make_account("amazon_ses"), sent("amazon_ses")
    event = senders.ses_event(said("bounced", delivery))
    event["bounce"]["bouncedRecipients"].append({"emailAddress": "copy@example.com"})
    assert amazon.post(event, account=account.id).send().status_code == 200
    assert ProviderEvent.objects.count() == 2
