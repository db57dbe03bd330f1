"""Spans of waits and holds, for OpenTelemetry and Sentry."""
