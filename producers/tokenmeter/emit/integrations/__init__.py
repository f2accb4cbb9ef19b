"""Drop-ins: one line meters what a team already runs.

    client = integrations.openai.metered(OpenAI(), meter)              # and anthropic
    litellm.callbacks = [integrations.litellm.logger(meter)]           # library; the proxy by its configuration
    app = integrations.asgi.MeterMiddleware(app, meter)                # an OpenAI-compatible gateway
    provider.add_span_processor(integrations.otel.processor(meter))    # GenAI spans

where ``meter = Meter(Emitter(...), customer_id=...)``. Owns: what each host tells of a call, and when a call has ended.
Promises: the caller's call is never broken, nor changed in what it answers; what could not be metered is counted and
logged. Must never: keep or log a prompt, a completion or a key, or import a host that is not used.
"""

from tokenmeter.emit.integrations.meter import Meter, MeterStats, Sink

__all__ = ["Meter", "MeterStats", "Sink"]
