"""Meters LiteLLM, library and proxy: ``litellm.callbacks = [logger(meter)]``.

In the proxy's configuration: ``litellm_settings: {callbacks: tokenmeter.emit.integrations.litellm.proxy_logger}``, with
TOKENMETER_KAFKA_BOOTSTRAP and TOKENMETER_SPOOL in its environment. There the customer comes from the virtual key (its
organisation, else team, else user) and never from the request; in the library from meter.attributed() or from
``metadata={"tokenmeter": {"customer_id": ...}}``.

LiteLLM counts tokens itself where a stream tells none, and does not say so. Asynchronous calls are therefore asked for
their usage (the caller does not see it) where who is called is known to take the question: by LiteLLM's name for it, by
its address, or because ``asked_hosts`` (TOKENMETER_ASKED_HOSTS in the proxy) has its host. Every other stream, and a
synchronous one from an address that is not OpenAI's, is counted as lost (``usage_estimated``) unless it has
stream_options={"include_usage": True}. A stream that was cut tells no usage at all, whatever LiteLLM makes of it. An
answer from LiteLLM's cache is no call.

With a CreditCache (``logger(meter, credit=...)``, or TOKENMETER_CREDIT=true in the proxy's environment) the proxy asks
before each call, and refuses with 402 and the reason. In the library ask CreditCache.allowed() before you call.
https://docs.litellm.ai/docs/observability/custom_callback
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from tokenmeter.emit.credit import CreditCache, fail_modes
from tokenmeter.emit.emitter import Emitter
from tokenmeter.emit.integrations.asking import ASKED, Places, Question
from tokenmeter.emit.integrations.call import OK, UNSEEN, error_class, status_of
from tokenmeter.emit.integrations.ids import event_id
from tokenmeter.emit.integrations.litellm_credit import CreditGate, CreditRefused, key_metadata
from tokenmeter.emit.integrations.litellm_customers import from_metadata, from_virtual_key
from tokenmeter.emit.integrations.litellm_kwargs import (
    asks_for_usage,
    hung_up,
    metadata_of,
    name_of,
    operation_of,
    place_of,
    served_model,
    takes_question,
    utc,
)
from tokenmeter.emit.integrations.meter import ATTRIBUTES, Ended, Meter
from tokenmeter.emit.usage import Usage, normalise
from tokenmeter.events.errors import Misconfigured, Poison

try:
    from litellm.integrations.custom_logger import CustomLogger
except ImportError as missing:
    raise Misconfigured("LiteLLM is not installed", hint="pip install 'tokenmeter[litellm]'") from missing

log = logging.getLogger("tokenmeter.meter")

_CUT = {"status": OK, "cancelled": True, "error_class": UNSEEN}
CALLS_MAX = 10_000
"""Calls under way, and ended ones, that are remembered."""
BOOTSTRAP, SPOOL = "TOKENMETER_KAFKA_BOOTSTRAP", "TOKENMETER_SPOOL"
ASKED_HOSTS = "TOKENMETER_ASKED_HOSTS"
CREDIT, CREDIT_FAIL = "TOKENMETER_CREDIT", "TOKENMETER_CREDIT_FAIL"

Identify = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def logger(
    meter: Meter,
    identify: Identify | None = None,
    *,
    asked_hosts: Collection[str] = (),
    credit: CreditCache | None = None,
    free_models_allowed: bool = True,
) -> MeterLogger:
    """A custom logger. ``identify`` tells a call's attributes from LiteLLM's metadata of it; default: the library's.
    ``asked_hosts``: hosts of your own that take stream_options. ``credit``: see the module; ``free_models_allowed``:
    see CreditGate."""
    gate = None if credit is None else CreditGate(credit, free_models_allowed)
    return MeterLogger(meter, identify or from_metadata, gate, asked_hosts)


class MeterLogger(CustomLogger):  # type: ignore[misc]
    """See the module. Called from LiteLLM's threads and tasks; raises nothing into them but CreditRefused."""

    def __init__(
        self, meter: Meter, identify: Identify, gate: CreditGate | None = None, asked_hosts: Collection[str] = ()
    ) -> None:
        super().__init__()
        self._gate = gate
        self._meter = meter
        self._identify = identify
        self._asked_hosts = frozenset(asked_hosts)
        self._places = Places()
        self._lock = threading.RLock()  # see Meter
        # By call id: what held where the call began, for LiteLLM calls back from threads of its own.
        self._begun: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._asked: OrderedDict[Any, None] = OrderedDict()
        self._questions: OrderedDict[Any, Question] = OrderedDict()
        self._ended: OrderedDict[tuple[Any, ...], None] = OrderedDict()

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: dict[str, Any]) -> None:
        self._begin(kwargs.get("litellm_call_id"))
        # Afterwards LiteLLM keeps what was sent for some providers only.
        if asks_for_usage(kwargs):
            with self._lock:
                self._asked[kwargs.get("litellm_call_id")] = None
                _trim(self._asked)

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        """Runs in the caller's task before an asynchronous call; what it returns is sent instead."""
        try:
            self._begin(kwargs.get("litellm_call_id"))
            if not kwargs.get("stream"):
                return None
            self._watch(kwargs)
            body = kwargs.get("extra_body") or {}
            if kwargs.get("stream_options") is not None or "stream_options" in body:
                return None
            question = self._places.question(place_of(kwargs))
            if question is None or not takes_question(kwargs, self._asked_hosts, os.environ):
                return None
            with self._lock:
                self._questions[kwargs.get("litellm_call_id")] = question
                _trim(self._questions)
            return {**kwargs, "extra_body": {"stream_options": dict(ASKED), **body}}
        except Exception as error:
            self._meter.lose(error)
            return None

    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: Any
    ) -> None:
        """Runs in the proxy before a request is routed; CreditRefused ends the request."""
        if self._gate is None:
            return
        try:
            # What the proxy found of the key goes before what the caller may have written.
            told = self._identify({**(data.get("metadata") or {}), **key_metadata(user_api_key_dict)})
            self._gate.check({**self._meter.attributes(), **told}, data.get("model"))
        except CreditRefused:
            raise
        except Exception as error:
            # As everywhere here, what fails of ours fails no call.
            log.warning("credit was not asked: %s", type(error).__name__)

    def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self._succeeded(kwargs, response_obj, start_time, end_time)

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self._succeeded(kwargs, response_obj, start_time, end_time)

    def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self._failed(kwargs, start_time, end_time)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        self._failed(kwargs, start_time, end_time)

    def _begin(self, call_id: Any) -> None:
        with self._lock:
            if isinstance(call_id, str) and call_id not in self._begun:
                self._begun[call_id] = self._meter.attributes()
                _trim(self._begun)

    def _watch(self, kwargs: Mapping[str, Any]) -> None:
        """A stream is cut when LiteLLM lets go of it without a word."""
        logging = kwargs.get("litellm_logging_obj")
        details = getattr(logging, "model_call_details", None)
        if isinstance(details, dict):
            began = datetime.now()  # naive, as all of LiteLLM's times are
            weakref.finalize(logging, self._cut, details, began).atexit = False

    def _cut(self, kwargs: dict[str, Any], began: datetime) -> None:
        try:
            fields = self._fields(kwargs, began, datetime.now())
            if fields is not None and self._claim(kwargs, None):
                self._meter.record(Ended({**fields, **_CUT}, Usage, name_of(kwargs)), collected=True)
        except Exception as error:
            self._meter.lose(error)

    def _succeeded(self, kwargs: Any, response: Any, start_time: Any, end_time: Any) -> None:
        try:
            if not self._claim(kwargs, start_time) or kwargs.get("cache_hit") is True:
                return
            fields = self._fields(kwargs, start_time, end_time)
            if fields is None:
                return
            if hung_up(kwargs):
                # The proxy bills what it guesses of the rest.
                self._meter.record(Ended({**fields, **_CUT}, Usage, name_of(kwargs)))
                return
            if fields["streamed"] and not (asks_for_usage(kwargs) or kwargs.get("litellm_call_id") in self._asked):
                raise Poison(
                    "usage_estimated",
                    "LiteLLM counted the tokens of a stream itself, for it did not ask its provider for them",
                    hint='call with stream_options={"include_usage": True}, or asynchronously',
                )
            # Read at once: LiteLLM goes on changing what it hands out.
            usage = normalise("litellm", response)
            usage = replace(usage, model=served_model(kwargs, response) or usage.model)
            self._meter.record(Ended({**fields, "status": OK}, lambda: usage, name_of(kwargs)))
        except Exception as error:
            self._meter.lose(error)

    def _failed(self, kwargs: Any, start_time: Any, end_time: Any) -> None:
        try:
            error = kwargs.get("exception")
            if isinstance(error, CreditRefused):
                return  # no call was made
            fields = self._fields(kwargs, start_time, end_time)
            if fields is None or not self._claim(kwargs, start_time):
                return
            with self._lock:
                question = self._questions.pop(kwargs.get("litellm_call_id"), None)
            # Nobody can repeat this call, but the next one need not fail as well.
            if question is not None and question.refused_by(None, str(error)):
                question.needless()
            status = status_of(error) if isinstance(error, BaseException) else 500
            told = {"status": status, "error_class": error_class(status) or "upstream"}
            self._meter.record(Ended({**fields, **told}, lambda: Usage(model=kwargs.get("model")), name_of(kwargs)))
        except Exception as lost:
            self._meter.lose(lost)

    def _claim(self, kwargs: Mapping[str, Any], start_time: Any) -> bool:
        """Whether this attempt has no event yet. Attempts of one call share its id, and begin at different times."""
        call_id = kwargs.get("litellm_call_id")
        keys = [(call_id, None)] if start_time is None else [(call_id, start_time), (call_id, None)]
        with self._lock:
            if keys[0] in self._ended:
                return False
            self._ended.update(dict.fromkeys(keys))
            _trim(self._ended)
        return True

    def _fields(self, kwargs: Mapping[str, Any], start_time: datetime, end_time: datetime) -> dict[str, Any] | None:
        """The event but for its usage; None where LiteLLM did something that is no model call."""
        operation = operation_of(kwargs)
        if operation is None:
            return None
        call_id = kwargs.get("litellm_call_id")
        metadata = metadata_of(kwargs)
        with self._lock:
            begun = self._begun.get(call_id) if isinstance(call_id, str) else None
        told = self._identify(metadata)
        first = kwargs.get("completion_start_time")
        streamed = bool(kwargs.get("stream"))
        began, ended = utc(start_time), utc(end_time)
        latency = utc(first) - began if streamed and isinstance(first, datetime) else None
        return {
            **(self._meter.attributes() if begun is None else begun),
            **{name: told[name] for name in ATTRIBUTES if name in told},
            # Not LiteLLM's id: attempts share it, and each is an event.
            "event_id": event_id(ended),
            "request_id": call_id,
            "operation": operation,
            "requested_model": metadata.get("model_group") or kwargs.get("model"),
            "streamed": streamed,
            "started_at": began,
            "occurred_at": ended,
            "latency_ms": None if latency is None else max(0, round(latency.total_seconds() * 1000)),
            "duration_ms": max(0, round((ended - began).total_seconds() * 1000)),
        }


def proxy() -> MeterLogger:
    """The proxy's logger, by its environment. Raises Misconfigured if it does not say where Kafka is."""
    bootstrap, spool = os.environ.get(BOOTSTRAP), os.environ.get(SPOOL)
    if not bootstrap:
        raise Misconfigured(
            f"{BOOTSTRAP} is not set", hint=f"export {BOOTSTRAP}=HOST:9092, and {SPOOL}=DIR to lose none"
        )
    credit = None
    if os.environ.get(CREDIT, "").lower() in ("1", "true"):
        credit = CreditCache(bootstrap, fail=fail_modes(os.environ.get(CREDIT_FAIL, "")))
    hosts = tuple(filter(None, os.environ.get(ASKED_HOSTS, "").replace(" ", "").split(",")))
    meter = Meter(Emitter(bootstrap, spool=spool), router="litellm")
    return logger(meter, from_virtual_key, asked_hosts=hosts, credit=credit)


def __getattr__(name: str) -> Any:
    # LiteLLM takes an instance by its dotted name; made when it is asked for, so that importing this connects nobody.
    if name != "proxy_logger":
        raise AttributeError(name)
    made = globals()["proxy_logger"] = proxy()
    return made


def _trim(remembered: OrderedDict[Any, Any]) -> None:
    while len(remembered) > CALLS_MAX:
        remembered.popitem(last=False)
