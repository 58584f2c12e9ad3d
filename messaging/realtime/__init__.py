"""Conversations over the WebSocket: the events clients send, and the topic of a thread."""
