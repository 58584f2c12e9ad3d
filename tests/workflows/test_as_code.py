"""What staff set up, as files: written out, planned and brought in, all or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Organization
from accounts.services.organizations import create_organization
from castcomm.common.as_code.documents import parse
from castcomm.common.as_code.errors import FolderInvalid
from castcomm.common.as_code.folders import MANIFEST
from castcomm.common.as_code.kinds import all_kinds
from castcomm.common.as_code.planning import Wish, apply_folder, export, plan_folder
from castcomm.common.as_code.yaml_text import write_yaml
from notifications.models import (
    Category,
    DigestSetting,
    EventType,
    FrequencyCap,
    Preference,
    Template,
    TemplateContent,
)
from notifications.services.defaults import ensure_direct_event_type
from notifications.services.ready_made import install_ready_made
from notifications.services.templates import EDITABLE
from workflows.models import Workflow
from workflows.services.drafts import create_workflow, update_workflow

KINDS = [kind.name for kind in all_kinds()]
PUBLISH = Wish(publish=True)


def run(command: str, folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit code and what was printed."""
    out = StringIO()
    try:
        call_command(command, str(folder), *arguments, stdout=out, no_color=True)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def full(organization: Organization, document_a: dict[str, Any]) -> Organization:
    """An organization with something of every kind."""
    install_ready_made(
        organization=organization, only=["welcome", "profile-completion-reminder", "nda_request"]
    )
    ensure_direct_event_type(organization)
    create_workflow(organization=organization, definition=document_a, reentry="once")
    files = {
        MANIFEST: write_yaml({"version": 1, "kinds": ["caps", "digests", "preferences"]}),
        "caps.yaml": "email/day: {limit: 5}\nall/hour: {limit: 2, overflow: drop, is_active: false}\n",
        "digests.yaml": "everything: {frequency: instant}\ncategory/activity: {frequency: weekly, at: 10:30}\n",
        "preferences.yaml": "everything: {sms: false}\nevent_type/nda_request: {all: true, push: false}\n",
    }
    apply_folder(organization=organization, folder=parse(files, all_kinds()), wish=Wish())
    return organization


@pytest.fixture
def exported(full: Organization, tmp_path: Path) -> Path:
    assert run("castcomm_export", tmp_path / "out", "--organization", full.slug)[0] == 0
    return tmp_path / "out"


def test_an_export_brought_in_elsewhere_is_exported_the_same(
    full: Organization, exported: Path, other_organization: Organization, tmp_path: Path
) -> None:
    assert {kind.name for kind in all_kinds()} == {
        name.split("/")[0].removesuffix(".yaml") for name in files_in(exported) if name != MANIFEST
    }
    assert run("castcomm_plan", exported, "--organization", full.slug)[0] == 0
    code, printed = run("castcomm_plan", exported, "--organization", other_organization.slug)
    assert code == 2
    assert "+ templates/welcome" in printed
    assert "+ workflows/welcome_sequence" in printed
    assert not Template.objects.for_organization(other_organization).exists()

    run("castcomm_apply", exported, "--organization", other_organization.slug, "--publish")
    assert run("castcomm_plan", exported, "--organization", other_organization.slug, "--publish")[0] == 0
    run("castcomm_export", tmp_path / "again", "--organization", other_organization.slug)
    assert files_in(tmp_path / "again") == files_in(exported)
    there = Workflow.objects.for_organization(other_organization).get()
    assert there.current_version is not None
    assert there.reentry == "once"


def test_definitions_keep_their_keys_in_order(exported: Path, document_a: dict[str, Any]) -> None:
    text = (exported / "workflows" / "welcome_sequence" / "definition.json").read_text()
    assert text == json.dumps(document_a, indent=2) + "\n"


def test_a_plan_shows_what_changes_and_what_would_be_published(full: Organization, exported: Path) -> None:
    body = exported / "templates" / "welcome" / "en.mjml"
    body.write_text(body.read_text().replace("is ready.", "is open."))
    definition = exported / "workflows" / "welcome_sequence" / "definition.json"
    definition.write_text(definition.read_text().replace("86400000", "3600000"))
    caps = exported / "caps.yaml"
    caps.write_text(caps.read_text().replace("limit: 5", "limit: 6"))
    (exported / "categories.yaml").write_text(
        (exported / "categories.yaml").read_text() + "new:\n  name: New one\n"
    )
    (exported / "digests.yaml").write_text("{}\n")
    slug = ("--organization", full.slug)
    code, printed = run("castcomm_plan", exported, *slug)
    assert code == 2
    assert "~ caps/email/day\n    limit: 5 → 6\n" in printed
    assert '+ categories/new\n    name: "New one"\n' in printed
    assert '      -      "duration": 86400000\n      +      "duration": 3600000\n' in printed
    assert "is open." in printed
    assert "1 to create, 3 to change, 0 to delete" in printed
    assert "until they are published (--publish): templates/welcome, workflows/welcome_sequence" in printed
    assert "left alone without --prune: digests/category/activity, digests/everything" in printed

    code, printed = run("castcomm_plan", exported, *slug, "--prune", "--publish")
    assert "- digests/everything" in printed
    assert "1 to create, 3 to change, 2 to delete, 2 to publish" in printed
    run("castcomm_apply", exported, *slug, "--prune", "--publish")
    assert not DigestSetting.objects.for_organization(full).exists()
    published = {"version__template__key": "welcome", "version__status": "published"}
    assert "is open." in TemplateContent.objects.get(**published, locale="en").compiled_html
    assert run("castcomm_plan", exported, *slug, "--prune", "--publish")[0] == 0


def test_everything_that_is_wrong_is_named_and_nothing_is_kept(full: Organization, exported: Path) -> None:
    welcome = exported / "templates" / "welcome" / "template.yaml"
    welcome.write_text(welcome.read_text().replace("  en:\n", "  en:\n    subjct: x\n"))
    (exported / "event_types.yaml").write_text("a: {name: A, category: account, priority: soon}\n")
    (exported / "templates" / "welcome" / "en.html").write_text("x")
    definition = exported / "workflows" / "welcome_sequence" / "definition.json"
    definition.write_text(definition.read_text().replace("{", '{"name": "twice",', 1))
    with pytest.raises(CommandError) as caught:
        run("castcomm_plan", exported, "--organization", full.slug)
    told = str(caught.value)
    line = welcome.read_text().split("subjct")[0].count("\n") + 1
    assert f"templates/welcome/template.yaml:{line}: contents.en.subjct: There is no such field" in told
    assert "event_types.yaml:1: a.priority: This must be one of urgent" in told
    assert "templates/welcome/en.html: This file is none of" in told
    assert "'name' is there twice" in told


def test_what_the_services_refuse_is_named_by_file_and_line(full: Organization, exported: Path) -> None:
    before = export(organization=full)
    body = exported / "templates" / "welcome" / "en.mjml"
    body.write_text(body.read_text() + "{% if %}")
    definition = exported / "workflows" / "welcome_sequence" / "definition.json"
    definition.write_text(definition.read_text().replace('"type": "condition"', '"type": "conditon"'))
    events = exported / "event_types.yaml"
    events.write_text(events.read_text() + "late:\n  name: Late\n  category: nowhere\n")
    (exported / "caps.yaml").write_text("sms/day: {limit: 3}\n")
    for command in ("castcomm_plan", "castcomm_apply"):
        with pytest.raises(CommandError) as caught:
            run(command, exported, "--organization", full.slug)
        told = str(caught.value)
        assert "templates/welcome/en.mjml" in told
        assert "workflows/welcome_sequence/definition.json:20: steps.3.type" in told
        assert "late.category: There is no category 'nowhere'." in told
        assert "3 problems" in told
    assert export(organization=full) == before


def test_a_saved_plan_holds_for_one_state_and_one_folder(
    full: Organization, exported: Path, tmp_path: Path
) -> None:
    caps, saved = exported / "caps.yaml", tmp_path / "plan.json"
    caps.write_text("email/day: {limit: 9}\n")
    slug = ("--organization", full.slug)
    run("castcomm_plan", exported, *slug, "--prune", "--out", str(saved))
    workflow = Workflow.objects.get()
    update_workflow(workflow=workflow, reentry="always")
    with pytest.raises(CommandError, match="was changed since the plan was made"):
        run("castcomm_apply", exported, *slug, "--plan", str(saved))
    update_workflow(workflow=workflow, reentry="once")
    caps.write_text("email/day: {limit: 10}\n")
    with pytest.raises(CommandError, match="not the one that was planned"):
        run("castcomm_apply", exported, *slug, "--plan", str(saved))
    caps.write_text("email/day: {limit: 9}\n")
    run("castcomm_apply", exported, *slug, "--plan", str(saved))
    assert list(FrequencyCap.objects.for_organization(full).values_list("channel", "limit")) == [("email", 9)]


def test_pruning_deletes_in_the_order_of_references(full: Organization, exported: Path) -> None:
    for name in ("templates", "workflows"):
        for path in sorted((exported / name).rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
    for path in exported.glob("*.yaml"):
        if path.name != MANIFEST:
            path.write_text("")
    run("castcomm_apply", exported, "--organization", full.slug, "--prune")
    assert not Template.objects.for_organization(full).exists()
    assert not Workflow.objects.for_organization(full).exists()
    # What CastComm itself sends with stays.
    assert [row.key for row in EventType.objects.for_organization(full)] == ["direct"]
    assert [row.key for row in Category.objects.for_organization(full)] == ["general"]


NAMES = st.text(
    st.characters(exclude_characters="\0{}%#", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30
)
SHOWN = NAMES.map(str.strip).filter(bool)
PLAIN = st.text(st.characters(exclude_characters="\0{}%#<", exclude_categories=["Cs"]), max_size=60)
KEYS = st.from_regex(r"[a-z][a-z0-9_.-]{0,6}[a-z0-9]", fullmatch=True)
FLAGS = st.booleans()
EXAMPLES = st.recursive(
    st.none() | FLAGS | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=5,
)


ODD = (
    "", "a: 1", "- a", "name: [", "  name: 5", "  channels: [fax]", "  expires_after: P99999999999D", "  limit: 1e9",
    "  category: nowhere", "  at: 99:99", "variables: {user: {}}", "layout: none", "{% if %}", "<mj-raw>", '{"a": NaN}',
    '"steps": [],', "contents: {en-Latn-verylong: {subject: a}}", "version: 2", "x" * 300, "  : ",
)  # fmt: skip


@st.composite
def catalogs(draw: st.DrawFn) -> dict[str, str]:
    """The files of an organization with a few things of each kind, odd texts among them."""
    categories = draw(st.lists(KEYS, min_size=1, max_size=3, unique=True))
    templates = draw(st.lists(KEYS, min_size=1, max_size=2, unique=True))
    events = draw(st.lists(KEYS, max_size=3, unique=True))
    files = {
        MANIFEST: write_yaml({"version": 1, "kinds": KINDS}),
        "categories.yaml": write_yaml(
            {key: {"name": draw(SHOWN), "description": draw(PLAIN)} for key in categories}
        ),
        "event_types.yaml": write_yaml(
            {
                key: {
                    "name": draw(SHOWN),
                    "category": draw(st.sampled_from(categories)),
                    "template": draw(st.sampled_from(["", *templates])),
                    "channels": draw(st.lists(st.sampled_from(["email", "sms", "in_app"]), unique=True)),
                    "priority": draw(st.sampled_from(["urgent", "low", "normal"])),
                    "expires_after": draw(st.sampled_from(["", "P7D", "PT90M"])),
                    "tags": draw(st.lists(SHOWN, max_size=2)),
                }
                for key in events
            }
        ),
        "preferences.yaml": write_yaml({f"category/{key}": {"email": draw(FLAGS)} for key in categories}),
        "digests.yaml": write_yaml({f"category/{categories[0]}": {"frequency": "daily", "at": "07:05"}}),
        "caps.yaml": write_yaml({"sms/hour": {"limit": draw(st.integers(1, 99))}}),
    }  # fmt: skip
    for key in templates:
        variables = draw(st.dictionaries(KEYS, st.fixed_dictionaries({"example": EXAMPLES}), max_size=2))
        button = {
            "key": "yes",
            "label": draw(SHOWN),
            "style": draw(st.sampled_from(["primary", "secondary"])),
        }
        english = {"subject": draw(PLAIN), "in_app_title": draw(PLAIN), "in_app_actions": [button]}
        contents = {"en": english, "de-AT": None}
        files[f"templates/{key}/template.yaml"] = write_yaml(
            {"name": draw(SHOWN), "variables": variables, "contents": contents}
        )
        files[f"templates/{key}/en.txt"] = draw(PLAIN)
    steps = [{"type": "stop", "reason": draw(SHOWN), "name": draw(SHOWN)}]
    definition = {"type": "flow", "steps": steps, "description": draw(PLAIN), "name": draw(SHOWN)}
    files["workflows/flow/workflow.yaml"] = write_yaml({"is_active": draw(FLAGS)})
    files["workflows/flow/definition.json"] = json.dumps(definition)
    return files


@pytest.mark.django_db
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(catalogs())
def test_whatever_is_brought_in_comes_out_byte_for_byte(files: dict[str, str]) -> None:
    with transaction.atomic():
        first, second = create_organization(name="One"), create_organization(name="Two")
        apply_folder(organization=first, folder=parse(files, all_kinds()), wish=PUBLISH)
        written = export(organization=first)
        assert plan_folder(organization=first, folder=parse(files, all_kinds()), wish=PUBLISH).is_empty
        apply_folder(organization=second, folder=parse(written, all_kinds()), wish=Wish(prune=True))
        assert export(organization=second) == written
        transaction.set_rollback(True)


@pytest.mark.django_db
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(catalogs(), st.data())
def test_whatever_is_wrong_is_refused_with_its_place(files: dict[str, str], data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(sorted(files)))
        lines = files[name].split("\n")
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at] = data.draw(st.sampled_from(ODD)) if data.draw(FLAGS) else lines[at][::-1]
        files[name] = "\n".join(lines)
    with transaction.atomic():
        organization = create_organization(name="One")
        before = export(organization=organization)
        try:
            plan_folder(organization=organization, folder=parse(files, all_kinds()), wish=PUBLISH)
        except FolderInvalid as error:
            places = [problem.file for problem in error.problems]
        else:
            places = []
        assert all(place.split("/")[0].removesuffix(".yaml") in {*KINDS, "castcomm"} for place in places)
        assert export(organization=organization) == before
        transaction.set_rollback(True)


def test_no_field_that_staff_edit_is_left_out(make_organization: Callable[..., Organization]) -> None:
    elsewhere = {"id", "created_at", "updated_at", "organization", "key", "user"}
    fields = {
        Category: set(),
        EventType: set(),
        FrequencyCap: {"channel", "period"},
        DigestSetting: {"category"},
        Template: set(),
        Workflow: {"name", "trigger_event", "definition", "current_version", "paused_at"},
    }
    kinds = dict(
        zip(fields, ("categories", "event_types", "caps", "digests", "templates", "workflows"), strict=True)
    )
    schemas = {kind.name: kind.schema["properties"] for kind in all_kinds()}
    for model, by_other_means in fields.items():
        named = {field.name for field in model._meta.concrete_fields}
        assert named - elsewhere - by_other_means - set(schemas[kinds[model]]) == set(), model
    said = schemas["templates"]["contents"]["additionalProperties"]["properties"]
    assert {*EDITABLE, "in_app_actions"} - {"mjml", "text"} == set(said)
    assert Preference._meta.get_field("enabled")
