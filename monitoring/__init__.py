"""Metrics, health, alert rules, dashboards and notifications; observes, nothing below imports it."""
