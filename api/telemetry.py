"""OpenTelemetry traces: off unless `SANTRAL_OTLP_ENDPOINT` names where they go (OTLP over HTTP)."""

import asyncio

from fastapi.telemetry import TelemetryConfig
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from crm.settings import Settings

OFF: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


def config(settings: Settings) -> TelemetryConfig:
    """Return how FastAPI's own instrumentation is to work: spans to the collector, or nothing at all."""
    if not settings.otlp_endpoint:
        return OFF
    provider = TracerProvider(resource=Resource({SERVICE_NAME: "santral-api"}))
    exporter = OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return {"tracing": True, "metrics": False, "logs": False, "tracer_provider": provider}


async def close(config: TelemetryConfig) -> None:
    """Send the spans that still wait."""
    provider = config.get("tracer_provider")
    if isinstance(provider, TracerProvider):
        await asyncio.to_thread(provider.shutdown)
