"""A person subscribes to topics and leaves them, on the page of preferences."""

from __future__ import annotations

from playwright.sync_api import expect

from accounts.models import Organization, User
from notifications.models import Topic, TopicSubscription
from tests.e2e.conftest import PHONE, OpenPage
from tests.e2e.test_accessibility import violations


def test_topics_are_joined_and_left(
    open_page: OpenPage, people: tuple[User, User], organization: Organization
) -> None:
    ada, _ = people
    news, board, _ = (
        Topic.objects.create(
            organization=organization, key=key, name=name, description=about, is_open=is_open
        )
        for key, name, about, is_open in (
            ("product.news", "Product news", "What is new, once a month", True),
            ("board", "Board", "Papers of the board", False),
            ("secret", "Hidden", "", False),
        )
    )
    TopicSubscription.objects.create(topic=board, user=ada)
    page = open_page(ada, "/preferences/", color_scheme="dark", viewport=PHONE)
    switch = page.get_by_role("switch", name="Product news")
    expect(switch).not_to_be_checked()
    expect(switch).to_have_accessible_description("What is new, once a month")
    expect(page.get_by_role("switch", name="Hidden")).to_have_count(0)
    assert violations(page, "main") == []
    switch.press("Space")
    expect(page.get_by_text("You are subscribed to Product news.")).to_be_visible()
    assert TopicSubscription.objects.filter(topic=news, user=ada, source="signed_in").exists()

    # What cannot be joined again is not left by one press.
    page.get_by_role("switch", name="Board").press("Enter")
    expect(page.get_by_role("button", name="Leave")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("switch", name="Board")).to_be_focused()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Leave").press("Enter")
    expect(page.get_by_text("You left Board.")).to_be_visible()
    expect(page.get_by_role("switch", name="Board")).to_have_count(0)
    expect(page.get_by_role("heading", name="Topics")).to_be_focused()
    assert set(TopicSubscription.objects.values_list("topic", flat=True)) == {news.id}

    # Closed to newcomers meanwhile: refused, said, and put back.
    TopicSubscription.objects.all().delete()
    page.reload()
    expect(switch).not_to_be_checked()
    Topic.objects.filter(id=news.id).update(is_open=False)
    switch.click()
    expect(page.get_by_role("alert").filter(has_text="Not saved")).to_be_visible()
    expect(switch).not_to_be_checked()
