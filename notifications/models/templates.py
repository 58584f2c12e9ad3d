"""What is said, on each channel and in each language, in versions that do not change once published."""

from __future__ import annotations

from django.db import models

from castcomm.common.models import BaseModel, TenantModel
from notifications.models.catalog import KEY


class TemplateKind(models.TextChoices):
    MESSAGE = "message", "Message"
    LAYOUT = "layout", "Layout of e-mails"


class Template(TenantModel):
    """A named message. Staff edit its draft; what is sent is the published version."""

    key = models.CharField(max_length=100, validators=[KEY])
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=7, choices=TemplateKind, default=TemplateKind.MESSAGE)
    layout = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        limit_choices_to={"kind": TemplateKind.LAYOUT},
        help_text="The e-mail's frame; its MJML says where the content goes with {{ content }}.",
    )
    variables = models.JSONField(
        default=dict,
        blank=True,
        help_text='Declared variables: {"name": {"type": "string", "required": true, "example": "…"}}.',
    )

    class Meta:
        ordering = ["key"]
        constraints = [models.UniqueConstraint(fields=["organization", "key"], name="template_key_once")]

    def __str__(self) -> str:
        return self.key


class VersionStatus(models.TextChoices):
    DRAFT = "draft", "Draft"
    PUBLISHED = "published", "Published"
    ARCHIVED = "archived", "Archived"


class TemplateVersion(BaseModel):
    """One state of a template. A draft can be edited; a published version never changes."""

    template = models.ForeignKey(Template, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    status = models.CharField(max_length=9, choices=VersionStatus, default=VersionStatus.DRAFT)
    published_at = models.DateTimeField(null=True, editable=False)
    published_by = models.ForeignKey(
        "accounts.User", on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["template", "number"], name="template_version_once"),
            models.UniqueConstraint(
                fields=["template"], condition=models.Q(status="published"), name="template_one_published"
            ),
            models.UniqueConstraint(
                fields=["template"], condition=models.Q(status="draft"), name="template_one_draft"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.template} v{self.number}"


class TemplateContent(BaseModel):
    """A version's text in one language. Every field is Jinja2; an empty one means: not on this channel."""

    version = models.ForeignKey(TemplateVersion, on_delete=models.CASCADE, related_name="contents")
    locale = models.CharField(max_length=16, default="en")
    subject = models.CharField(max_length=998, blank=True)
    mjml = models.TextField("e-mail (MJML)", blank=True, help_text="What stands inside <mj-body>.")
    text = models.TextField("e-mail (text)", blank=True, help_text="Made from the HTML when left empty.")
    sms = models.TextField("SMS", blank=True)
    push_title = models.CharField(max_length=200, blank=True)
    push_body = models.TextField(blank=True)
    in_app_title = models.CharField(max_length=500, blank=True)
    in_app_body = models.TextField(blank=True)
    action_url = models.CharField(
        max_length=2000, blank=True, help_text="Where a click leads, on in-app and push."
    )
    in_app_actions = models.JSONField(
        default=list,
        db_default=[],
        blank=True,
        help_text='Buttons in the inbox: [{"key", "label", "url", "style": "primary" or "secondary"}]; label and url '
        "are Jinja2.",
    )
    compiled_html = models.TextField(
        editable=False, blank=True, help_text="The MJML as HTML with its styles inlined, still Jinja2."
    )
    compiled_text = models.TextField(
        editable=False,
        blank=True,
        help_text="The text part: as written, or made from the HTML; still Jinja2.",
    )

    class Meta:
        ordering = ["locale"]
        constraints = [
            models.UniqueConstraint(fields=["version", "locale"], name="template_content_locale_once"),
        ]

    def __str__(self) -> str:
        return f"{self.version} ({self.locale})"
