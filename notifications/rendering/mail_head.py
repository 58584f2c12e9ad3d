"""What ready-made mails share: classes for ``mj-class``, and their colours in the dark.

They are offered to every mail and touch none that does not name them. A mail whose layout has ``cc-page`` around it is
dark where the reader's program is; others stay as they are written.
"""

from __future__ import annotations

_FONT = 'font-family="Helvetica, Arial, sans-serif"'

# On one line: what MJML finds wrong in a mail is named by the mail's own line.
MAIL_HEAD = " ".join(
    f"""
<mj-attributes>
<mj-class name="cc-page" css-class="cc-page" background-color="#f3f4f6" padding="16px 0 32px" />
<mj-class name="cc-card" css-class="cc-card" background-color="#ffffff" padding="8px 16px 24px" />
<mj-class name="cc-heading" css-class="cc-strong" {_FONT} font-size="24px" line-height="32px" font-weight="700"
  color="#111827" padding="16px 16px 8px" />
<mj-class name="cc-text" css-class="cc-soft" {_FONT} font-size="16px" line-height="26px" color="#374151"
  padding="8px 16px" />
<mj-class name="cc-small" css-class="cc-soft" {_FONT} font-size="13px" line-height="20px" color="#4b5563"
  padding="8px 16px" />
<mj-class name="cc-button" css-class="cc-button" {_FONT} font-size="16px" font-weight="600" line-height="20px"
  background-color="#1d4ed8" color="#ffffff" border-radius="8px" inner-padding="14px 24px" align="left"
  padding="16px" />
</mj-attributes>
<mj-style>
body:has(.cc-page) {{ background-color: #f3f4f6; }}
.cc-page a {{ overflow-wrap: anywhere; }}
@media (prefers-color-scheme: dark) {{
  .cc-page, .cc-page table, body:has(.cc-page) {{ background-color: #111827 !important; }}
  .cc-page .cc-card, .cc-page .cc-card table {{ background: #1f2937 !important; }}
  .cc-page .cc-strong div, .cc-page .cc-strong div * {{ color: #f9fafb !important; }}
  .cc-page .cc-soft div, .cc-page .cc-soft div * {{ color: #d1d5db !important; border-color: #4b5563 !important; }}
  .cc-page .cc-soft div a {{ color: #93c5fd !important; }}
}}
</mj-style>""".split()
).replace("> <", "><")
