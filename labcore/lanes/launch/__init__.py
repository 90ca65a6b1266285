"""Processes of a run: a child with readiness, events and a watchdog, and what runs inside it."""
