"""Exporters of the figures of this process, for Prometheus and OpenTelemetry."""
