"""PostgreSQL, Redis and a mail catcher for a machine that has none of them, and what bin/run and bin/test do.

Nothing here imports Django, its settings or an app: these modules run before any of them can.
Linux only (``/proc``, ``prctl``); ``docs/running.md`` describes what a person sees.
"""
