"""The frame of the ready-made e-mails.

The links below stand in mails that have them: critical ones have no link to unsubscribe, and for a bare address both
lead to the same page.
"""

LAYOUT_MJML = """\
<mj-section background-color="#ffffff" padding="32px 24px 8px">
  <mj-column>
    <mj-text font-family="Helvetica, Arial, sans-serif" font-size="15px" color="#4b5563" font-weight="600">
      {{ organization.name }}
    </mj-text>
  </mj-column>
</mj-section>
{{ content }}
<mj-section padding="16px 24px 32px">
  <mj-column>
    <mj-divider border-width="1px" border-color="#e5e7eb"></mj-divider>
    <mj-text font-family="Helvetica, Arial, sans-serif" font-size="13px" line-height="20px" color="#6b7280">
      {{ organization.name }} sent you this e-mail.
      {% if preferences_url and preferences_url != unsubscribe_url %}
        <a href="{{ preferences_url }}" style="color:#1d4ed8">Choose what you get</a>
      {% endif %}
      {% if unsubscribe_url %}
        &nbsp;<a href="{{ unsubscribe_url }}" style="color:#1d4ed8">Unsubscribe</a>
      {% endif %}
    </mj-text>
  </mj-column>
</mj-section>
"""


def section(heading: str, *paragraphs: str, button: tuple[str, str] | None = None) -> str:
    """MJML of one message: a heading, paragraphs, and perhaps a button (words, address)."""
    lines = [
        '<mj-section background-color="#ffffff" padding="0 24px">',
        "  <mj-column>",
        '    <mj-text font-family="Helvetica, Arial, sans-serif" font-size="24px" line-height="32px" '
        f'font-weight="700" color="#111827">{heading}</mj-text>',
    ]
    lines += [
        '    <mj-text font-family="Helvetica, Arial, sans-serif" font-size="16px" line-height="26px" '
        f'color="#374151">{text}</mj-text>'
        for text in paragraphs
    ]
    if button:
        words, address = button
        lines.append(
            '    <mj-button font-family="Helvetica, Arial, sans-serif" font-size="16px" font-weight="600" '
            'background-color="#1d4ed8" color="#ffffff" border-radius="8px" inner-padding="12px 24px" align="left" '
            f'href="{address}">{words}</mj-button>'
        )
    lines += ["  </mj-column>", "</mj-section>"]
    return "\n".join(lines)
