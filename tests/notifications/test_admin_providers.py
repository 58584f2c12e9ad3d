"""Provider accounts in the admin, as staff of one organization and superusers see and use them."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from django.db import connection
from django.test import Client

from accounts.models import Organization, User
from castcomm.common.errors import InvalidInput
from castcomm.common.ids import new_id
from notifications.models import ProviderAccount
from notifications.providers.push.fcm import TOKEN_URI
from notifications.services.breakers import permit
from notifications.services.provider_accounts_editing import save_provider_account

from .admin_pages import list_page, page_of, press, run, text_of
from .provider_desk import SECRET, add_page, key_page, make_account, stored

pytestmark = pytest.mark.django_db
FIELDS = {
    "name": "Our Twilio", "is_active": "on", "position": "50", "weight": "2", "per_minute": "60", "per_hour": "",
    "per_day": "", "credential_account_sid": "AC123", "credential_auth_token": SECRET,
    "credential_from_number": "+12025550123", "credential_messaging_service_sid": "",
}  # fmt: skip
ADD = "?channel=sms&provider=twilio"


# --- Adding and changing ------------------------------------------------------------------------------


def test_an_account_is_added_in_two_steps_and_its_secret_is_not_shown_again(
    desk: Client, organization: Organization
) -> None:
    assert "?channel=sms&amp;provider=twilio" in text_of(desk, add_page())
    form = text_of(desk, add_page() + ADD)
    assert 'name="credential_auth_token"' in form
    assert 'name="credential_api_url"' not in form
    with structlog.testing.capture_logs() as logs:
        response = desk.post(add_page() + ADD, {**FIELDS, "organization": organization.pk}, follow=True)
    assert SECRET not in response.content.decode()
    assert SECRET not in str(logs)
    made = ProviderAccount.objects.get()
    assert (made.organization, made.channel, made.provider) == (organization, "sms", "twilio")
    assert (made.name, made.position, made.weight, made.per_minute) == ("Our Twilio", 50, 2, 60)
    assert stored(made)["auth_token"] == SECRET
    with connection.cursor() as cursor:
        cursor.execute("SELECT credentials FROM notifications_provideraccount")
        assert SECRET not in cursor.fetchone()[0]
    page = text_of(desk, page_of(made))
    assert SECRET not in page
    assert "Set. Leave it empty to keep it." in page
    assert "AC123" in page
    assert SECRET not in text_of(desk, page_of(made, "history"))


def test_an_empty_secret_is_kept_and_a_new_one_replaces_it(desk: Client, organization: Organization) -> None:
    account = make_account(organization)
    changed = {**FIELDS, "name": "Renamed", "credential_auth_token": "", "credential_account_sid": "AC999"}
    assert desk.post(page_of(account), changed).status_code == 302
    assert stored(account)["auth_token"] == SECRET
    assert (account.name, stored(account)["account_sid"]) == ("Renamed", "AC999")
    assert desk.post(page_of(account), {**FIELDS, "credential_auth_token": "another"}).status_code == 302
    assert stored(account)["auth_token"] == "another"
    # What is no secret is emptied by leaving it empty.
    fields = {**FIELDS, "credential_from_number": "", "credential_messaging_service_sid": "MG1"}
    assert desk.post(page_of(account), fields).status_code == 302
    assert "from_number" not in stored(account)


def test_a_secret_that_is_not_needed_can_be_forgotten(chief: Client) -> None:
    account = ProviderAccount(channel="email", provider="smtp", name="Relay")
    save_provider_account(account=account, credentials={"host": "127.0.0.1", "password": SECRET})
    fields = {
        "name": "Relay", "position": "1", "weight": "1", "credential_host": "127.0.0.1", "credential_port": "25",
        "credential_secure": "false", "credential_timeout": "20", "credential_password": "",
    }  # fmt: skip
    assert chief.post(page_of(account), fields).status_code == 302
    assert stored(account)["password"] == SECRET
    assert chief.post(page_of(account), {**fields, "forget_password": "on"}).status_code == 302
    assert "password" not in stored(account)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("credential_auth_token", ""), ("credential_account_sid", "AC\r\nX-Header: 1"),
        ("credential_account_sid", "x" * 10_001), ("name", ""), ("name", "x" * 101), ("position", "0"),
        ("position", "1001"), ("weight", "0"), ("weight", "101"), ("weight", "-1"), ("per_minute", "0"),
        ("per_hour", "-5"), ("per_day", "99999999999"), ("per_day", "many"),
    ],
)  # fmt: skip
def test_bad_input_is_told_at_its_field_and_nothing_is_stored(
    desk: Client, organization: Organization, field: str, value: str
) -> None:
    given = {**FIELDS, "organization": organization.pk, field: value}
    response = desk.post(add_page() + ADD, given)
    assert response.status_code == 200
    assert list(response.context["adminform"].form.errors) == [field]
    assert SECRET not in response.content.decode()
    assert not ProviderAccount.objects.exists()


@pytest.mark.parametrize(
    ("credentials", "attr"),
    [
        ({"host": "mail.example.com", "port": "0"}, "credentials.port"),
        ({"port": "a few"}, "credentials.port"),
        ({"secure": "maybe"}, "credentials.secure"),
        ({"timeout": "0"}, "credentials.timeout"),
        ({"timeout": "31"}, "credentials.timeout"),
        ({"timeout": "-1"}, "credentials.timeout"),
        ({"timeout": "nan"}, "credentials.timeout"),
        ({"timeout": "soon"}, "credentials.timeout"),
        ({"from_email": "nobody"}, "credentials.from_email"),
        ({"from_name": "Kim\nBcc: all"}, "credentials.from_name"),
        ({"api_url": "http://127.0.0.1:1"}, "credentials.api_url"),
        ({"colour": "red"}, "credentials.colour"),
    ],
)
def test_the_service_names_the_field(credentials: dict[str, str], attr: str) -> None:
    account = ProviderAccount(channel="email", provider="smtp", name="Relay")
    with pytest.raises(InvalidInput) as caught:
        save_provider_account(account=account, credentials=credentials)
    assert caught.value.attr == attr
    assert not ProviderAccount.objects.exists()


def test_twilio_needs_a_sender_or_a_messaging_service(desk: Client, organization: Organization) -> None:
    given = {**FIELDS, "organization": organization.pk, "credential_from_number": ""}
    response = desk.post(add_page() + ADD, given)
    assert list(response.context["adminform"].form.errors) == ["credential_from_number"]
    assert not ProviderAccount.objects.exists()
    given["credential_messaging_service_sid"] = "MG1"
    assert desk.post(add_page() + ADD, given).status_code == 302


def test_the_far_side_can_be_named_while_debugging_only(settings: Any) -> None:
    settings.DEBUG = True
    account = ProviderAccount(channel="sms", provider="twilio", name="Stand-in")
    given = {"account_sid": "AC1", "auth_token": "t", "from_number": "+12025550123"}
    with pytest.raises(InvalidInput, match="http"):
        save_provider_account(account=account, credentials={**given, "api_url": "file:///etc"})
    save_provider_account(account=account, credentials={**given, "api_url": "http://127.0.0.1:1"})
    assert stored(account)["api_url"] == "http://127.0.0.1:1"


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::ffff:10.0.0.1", "localhost"])
def test_an_organization_does_not_reach_into_the_network_that_castcomm_stands_in(
    organization: Organization, host: str
) -> None:
    account = ProviderAccount(organization=organization, channel="email", provider="smtp", name="Inside")
    with pytest.raises(InvalidInput) as caught:
        save_provider_account(account=account, credentials={"host": host})
    assert caught.value.attr == "credentials.host"


def test_no_provider_of_another_channel_and_none_that_is_not_there(desk: Client) -> None:
    for query in ("?channel=email&provider=twilio", "?channel=in_app&provider=smtp", "?provider=x", ""):
        assert "Whose account is it?" in text_of(desk, add_page() + query)
        assert desk.post(add_page() + query, FIELDS).status_code == 200
    assert not ProviderAccount.objects.exists()


def test_a_default_is_not_written_down() -> None:
    account = ProviderAccount(channel="email", provider="smtp", name="Relay")
    save_provider_account(account=account, credentials={"host": "127.0.0.1", "port": "587", "timeout": "5"})
    assert stored(account) == {"host": "127.0.0.1", "timeout": "5"}


def test_a_key_of_many_lines_is_taken_and_not_shown_again(desk: Client, organization: Organization) -> None:
    query = "?channel=push&provider=fcm"
    key = '{"type": "service_account",\n "private_key": "' + SECRET + f'",\n "token_uri": "{TOKEN_URI}"}}'
    fields = {
        "name": "App",
        "position": "1",
        "weight": "1",
        "organization": organization.pk,
        "is_active": "on",
    }
    refused = desk.post(
        add_page() + query, {**fields, "position": "0", "credential_firebase_credentials": key}
    )
    assert "position" in refused.context["adminform"].form.errors
    assert SECRET not in refused.content.decode()
    desk.post(add_page() + query, {**fields, "credential_firebase_credentials": key})
    account = ProviderAccount.objects.get()
    assert stored(account)["firebase_credentials"] == key
    assert SECRET not in text_of(desk, page_of(account))


# --- Who may ------------------------------------------------------------------------------------------


def test_staff_see_and_change_only_what_is_their_organizations(
    desk: Client, organization: Organization, other_organization: Organization
) -> None:
    foreign, shared = make_account(other_organization, "FOREIGN"), make_account(None, "SHARED")
    own = make_account(organization)
    text = text_of(desk, list_page("provideraccount"))
    assert str(own.pk) in text
    assert "FOREIGN" not in text
    assert "SHARED" not in text
    for row in (foreign, shared):
        assert desk.get(page_of(row)).status_code in (302, 404)
        assert desk.post(page_of(row), {**FIELDS, "name": "Taken over"}).status_code in (302, 404)
        assert desk.post(page_of(row, "delete"), {"post": "yes"}).status_code in (302, 404)
        for page in ("test", "breaker"):
            assert desk.get(key_page(page, row.pk)).status_code == 404
            assert desk.post(key_page(page, row.pk), {"_stop": "1", "recipient": "a@b.cc"}).status_code == 404
        for action in ("switch_off", "stop"):
            assert press(desk, row, action).status_code == 403
        run(desk, "switch_off_selected", row)
        row.refresh_from_db()
        assert row.is_active
        assert row.name in ("FOREIGN", "SHARED")
        assert permit(str(row.pk)).state == "closed"


def test_staff_add_for_their_organization_alone(desk: Client, other_organization: Organization) -> None:
    for owner in ("", other_organization.pk):
        response = desk.post(add_page() + ADD, {**FIELDS, "organization": owner})
        assert list(response.context["adminform"].form.errors) == ["organization"]
    assert not ProviderAccount.objects.exists()


def test_the_accounts_of_the_environment_are_the_superusers(desk: Client, chief: Client) -> None:
    text = text_of(desk, list_page("provideraccount"))
    assert "From the environment" in text
    assert key_page("breaker", "env:smtp") not in text
    for page in ("test", "breaker"):
        assert desk.get(key_page(page, "env:smtp")).status_code == 404
        assert key_page(page, "env:smtp") in text_of(chief, list_page("provideraccount"))
        text_of(chief, key_page(page, "env:smtp"))
        assert chief.get(key_page(page, "env:nobody")).status_code == 404
        assert chief.get(key_page(page, new_id())).status_code == 404
    assert chief.post(key_page("breaker", "env:smtp"), {"_stop": "1"}).status_code == 302
    assert permit("env:smtp").state == "open"


def test_superusers_add_shared_accounts(chief: Client) -> None:
    assert chief.post(add_page() + ADD, {**FIELDS, "organization": ""}).status_code == 302
    assert ProviderAccount.objects.get().organization is None


def test_members_do_not_get_in(organization: Organization, member: User) -> None:
    account = make_account(organization)
    plain = Client()
    plain.force_login(member, backend="django.contrib.auth.backends.ModelBackend")
    for address in (
        list_page("provideraccount"), add_page(), page_of(account), key_page("test", account.pk),
        key_page("breaker", account.pk),
    ):  # fmt: skip
        assert plain.get(address).status_code == 302


def test_every_change_needs_the_token_of_the_form(clerk: User, organization: Organization) -> None:
    account = make_account(organization)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(clerk, backend="django.contrib.auth.backends.ModelBackend")
    for address in (
        add_page() + ADD, page_of(account), key_page("test", account.pk), key_page("breaker", account.pk),
        key_page("switch_off", account.pk), key_page("stop", account.pk),
    ):  # fmt: skip
        assert strict.post(address, {**FIELDS, "_stop": "1", "_form_submitted": "on"}).status_code == 403
    for address in (key_page("switch_off", account.pk), key_page("stop", account.pk)):
        strict.get(address)
    account.refresh_from_db()
    assert account.is_active
    assert permit(str(account.pk)).state == "closed"
