"""Pages behind the links in mails: they work signed out, for people, mail programs and scanners."""
