"""From a stranger to a member with an inbox, over the pages and the real mail."""

from __future__ import annotations

from playwright.sync_api import expect

from accounts.models import Organization
from tests.e2e.conftest import OpenPage
from tests.e2e.site import Mailbox

PASSWORD = "a-long-enough-one"


def test_sign_up_confirm_sign_in_and_reset_the_password(
    open_page: OpenPage, mailbox: Mailbox, organization: Organization
) -> None:
    page = open_page(None, "/")
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("Email").fill("new-person@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()

    page.goto(mailbox.link_for("new-person@example.com", "/accounts/confirm-email/"))
    page.get_by_role("button", name="Yes, confirm it").click()
    page.goto("/accounts/login/?next=/inbox/")
    page.get_by_label("Email").fill("new-person@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    expect(page.get_by_text("Nothing here yet")).to_be_visible()

    page.get_by_label("Account menu").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_label("Email").fill("new-person@example.com")
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()
    page.goto(mailbox.link_for("new-person@example.com", "/accounts/password/reset/key/"))
    expect(page.get_by_role("heading", name="Choose a new password")).to_be_visible()


def test_what_is_wrong_is_said_at_the_field(open_page: OpenPage, organization: Organization) -> None:
    page = open_page(None, "/accounts/signup/")
    page.get_by_label("Email").fill("somebody@example.com")
    page.get_by_label("Password").fill("12345")
    page.get_by_role("button", name="Sign up").click()
    password = page.get_by_label("Password")
    expect(password).to_have_attribute("aria-invalid", "true")
    ids = (password.get_attribute("aria-describedby") or "").split()
    told = " ".join(page.locator(f"#{one}").inner_text() for one in ids)
    assert "too short" in told


def test_pages_ask_who_is_there(open_page: OpenPage, organization: Organization) -> None:
    page = open_page(None, "/preferences/")
    expect(page).to_have_url("/accounts/login/?next=/preferences/")
