"""The WebSocket side: protocol, hub, consumer, tickets. ``docs/realtime.md`` tells how a frame travels.

Imports no app. The apps hand in what they know through ``protocol.on``, ``topics.register_kind``,
``sessions.register_greeting``, ``sessions.register_heads`` and the registries of ``auth``.
"""
