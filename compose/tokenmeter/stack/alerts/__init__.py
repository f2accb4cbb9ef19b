"""Alerts for people and for other systems: read from the topic, and sent to webhooks."""
