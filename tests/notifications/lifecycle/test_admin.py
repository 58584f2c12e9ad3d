"""Staff set how long things are kept; superusers when jobs run, and see what they did."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from accounts.models import Organization, User
from castcomm.common.clock import now
from castcomm.common.schedules import Schedule, write_schedules
from notifications.models import LifecycleJob, RetentionPolicy
from notifications.services.lifecycle import run_job

pytestmark = pytest.mark.django_db
POLICIES = "admin:notifications_retentionpolicy_"
TASKS = "admin:django_celery_beat_periodictask_"
PERIODS = {
    "archive_read_after": 10, "archive_unread_after": "", "keep_archived": 90, "keep_notifications": "",
    "keep_events": 30,
}  # fmt: skip


@pytest.fixture
def office(owner: User) -> Client:
    owner.is_staff = True
    owner.save()
    made = Client()
    made.force_login(owner, backend="django.contrib.auth.backends.ModelBackend")
    return made


@pytest.fixture
def root(make_user: Any) -> Client:
    made = Client()
    user = make_user("root@example.com", is_staff=True, is_superuser=True)
    made.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return made


def test_an_owner_sets_the_periods(office: Client, organization: Organization) -> None:
    page = office.get(reverse(POLICIES + "add")).content.decode()
    assert 'name="archive_read_after"' in page
    given = {"organization": organization.id, **PERIODS}
    assert office.post(reverse(POLICIES + "add"), given).status_code == 302
    policy = RetentionPolicy.objects.get()
    assert (policy.archive_read_after, policy.archive_unread_after, policy.keep_archived) == (10, None, 90)
    assert office.get(reverse(POLICIES + "changelist")).status_code == 200


@pytest.mark.parametrize("wrong", ["0", "-1", "40000", "soon", "1.5"])
def test_a_wrong_period_is_named_and_nothing_is_saved(
    office: Client, organization: Organization, wrong: str
) -> None:
    given = {"organization": organization.id, **PERIODS, "keep_notifications": wrong}
    response = office.post(reverse(POLICIES + "add"), given)
    assert response.status_code == 200
    assert list(response.context["adminform"].form.errors) == ["keep_notifications"]
    assert not RetentionPolicy.objects.exists()


def test_clerks_see_the_policy_and_others_nothing(
    desk: Client, organization: Organization, other_organization: Organization
) -> None:
    own = RetentionPolicy.objects.create(organization=organization, keep_events=12)
    foreign = RetentionPolicy.objects.create(organization=other_organization, keep_events=12)
    assert desk.get(reverse(POLICIES + "change", args=[own.pk])).status_code == 200
    assert desk.post(reverse(POLICIES + "change", args=[own.pk]), PERIODS).status_code == 403
    assert desk.get(reverse(POLICIES + "change", args=[foreign.pk])).status_code == 302
    for name in ("django_celery_beat_periodictask", "notifications_lifecyclejob"):
        assert desk.get(reverse(f"admin:{name}_changelist")).status_code == 403


def test_the_jobs_page_tells_how_the_last_run_went(root: Client) -> None:
    run_job("fine", lambda run: 4_321, lease=dt.timedelta(minutes=1))
    with pytest.raises(RuntimeError):
        run_job("broken", lambda run: _raise(), lease=dt.timedelta(minutes=1))
    LifecycleJob.objects.create(name="dead", started_at=now(), lease_until=now() - dt.timedelta(hours=1))
    page = root.get(reverse("admin:notifications_lifecyclejob_changelist")).content.decode()
    for word in ("Done", "4321", "Failed", "No room left", "Broken off"):
        assert word in page
    assert root.get(reverse("admin:notifications_lifecyclejob_change", args=["dead"])).status_code == 200


def _raise() -> int:
    raise RuntimeError("No room left")


def test_a_superuser_changes_the_rhythm_but_not_what_runs(root: Client) -> None:
    write_schedules()
    row = PeriodicTask.objects.get(name="Inbox: archive")
    assert (row.crontab.hour, row.crontab.minute, str(row.crontab.timezone)) == ("2", "0", "UTC")
    half_past, _ = CrontabSchedule.objects.get_or_create(minute="30", hour="4", timezone="UTC")
    address = reverse(TASKS + "change", args=[row.pk])
    assert root.get(address).status_code == 200
    given = {"crontab": half_past.pk, "interval": "", "task": "os.system", "name": "Other", "queue": "urgent"}
    assert root.post(address, given).status_code == 302
    write_schedules()  # a later migrate leaves what was chosen
    row.refresh_from_db()
    assert (row.crontab_id, row.enabled) == (half_past.pk, False)
    assert (row.task, row.name, row.queue) == ("notifications.tasks.archive", "Inbox: archive", "maintenance")


def test_a_schedule_without_a_rhythm_or_with_two_is_refused(root: Client) -> None:
    write_schedules()
    row = PeriodicTask.objects.get(name="Inbox: archive")
    address = reverse(TASKS + "change", args=[row.pk])
    interval, _ = IntervalSchedule.objects.get_or_create(every=7, period=IntervalSchedule.SECONDS)
    for given in ({"interval": interval.pk, "crontab": row.crontab_id}, {"interval": "", "crontab": ""}):
        response = root.post(address, given)
        assert response.status_code == 200
        assert "interval" in response.context["adminform"].form.errors
    row.refresh_from_db()
    assert row.enabled


def test_run_now_rings_for_what_was_chosen(root: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    write_schedules()
    rung: list[tuple[str, str]] = []
    monkeypatch.setattr(
        "notifications.admin.schedules.current_app.send_task",
        lambda task, queue, retry: rung.append((task, queue)),
    )
    row = PeriodicTask.objects.get(name="Retention: delete")
    given = {"action": "run_now", "_selected_action": [row.pk]}
    assert "run in a moment" in root.post(reverse(TASKS + "changelist"), given, follow=True).content.decode()
    assert rung == [("notifications.tasks.prune", "maintenance")]


def test_a_schedule_is_by_interval_or_by_time_of_day() -> None:
    for given in ({}, {"every": 5, "at": "03:00"}):
        with pytest.raises(ValueError, match="not both"):
            Schedule(task="t", queue="q", description="d", **given)  # type: ignore[arg-type]
