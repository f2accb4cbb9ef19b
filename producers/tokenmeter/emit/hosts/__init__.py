"""Drop-ins: one line meters what a team already runs.

    client = hosts.openai.metered(OpenAI(), meter)              # and anthropic
    litellm.callbacks = [hosts.litellm.logger(meter)]           # library; the proxy by its configuration
    app = hosts.asgi.MeterMiddleware(app, meter)                # an OpenAI-compatible gateway
    provider.add_span_processor(hosts.otel.processor(meter))    # GenAI spans

where ``meter = Meter(Emitter(...), customer_id=...)``. Owns: what each host tells of a call, and when a call has ended.
Promises: the caller's call is never broken, nor changed in what it answers; what could not be metered is counted and
logged. Must never: keep or log a prompt, a completion or a key, or import a host that is not used.
"""

from tokenmeter.emit.hosts.meter import Meter, MeterStats, Sink

__all__ = ["Meter", "MeterStats", "Sink"]
