"""A usage event as a pydantic model; a contract test holds each field against its Avro schema."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tokenmeter.events import accept
from tokenmeter.events.contract import EVENT_BYTES_MAX
from tokenmeter.events.errors import Poison

Quantity = Annotated[int, Field(ge=-accept.QUANTITY_MAX, le=accept.QUANTITY_MAX)]
Total = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
PICO_DECIMALS = 12
"""Decimals of money: what an event, a line and an entry carry."""
_PICO = Decimal(1).scaleb(-PICO_DECIMALS)
_EXACT = Context(prec=100, rounding=ROUND_HALF_EVEN)


def rounded(amount: Any) -> Any:
    """Money rounded half to even at PICO_DECIMALS, however it came; what is no amount is left for the model to refuse.

    A float is read by its shortest decimal form: who wrote 0.1 meant 0.1.
    """
    if amount is None or isinstance(amount, int):
        return amount
    try:
        found = amount if isinstance(amount, Decimal) else Decimal(str(amount))
        return found.quantize(_PICO, context=_EXACT) if found.is_finite() else amount
    except InvalidOperation:
        return amount


Usd = Annotated[Decimal, Field(max_digits=38, decimal_places=PICO_DECIMALS)]
ReportedCost = Annotated[Usd | None, BeforeValidator(rounded)]
Text = Annotated[str, Field(max_length=EVENT_BYTES_MAX)]
"""Any text that can be written as UTF-8. Only a bounded one is looked at: a lone surrogate would pass as plain str."""
Name = Annotated[str, Field(min_length=1, max_length=accept.NAME_BYTES_MAX)]


class Kind(StrEnum):
    """A correction carries signed deltas and names what it corrects; nothing is ever edited."""

    USAGE = "USAGE"
    CORRECTION = "CORRECTION"


class Operation(StrEnum):
    """What was asked of the model."""

    CHAT = "CHAT"
    COMPLETION = "COMPLETION"
    RESPONSE = "RESPONSE"
    EMBEDDING = "EMBEDDING"
    RERANK = "RERANK"
    IMAGE = "IMAGE"
    AUDIO = "AUDIO"
    VIDEO = "VIDEO"
    MODERATION = "MODERATION"
    OTHER = "OTHER"


class Record(BaseModel):
    """What all records have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=True, validate_default=True)


class _Quantities(Record):
    input_tokens: Quantity = 0
    cached_input_tokens: Quantity = 0
    cache_write_tokens: Quantity = 0
    cache_write_1h_tokens: Quantity = 0
    input_audio_tokens: Quantity = 0
    input_image_tokens: Quantity = 0
    output_tokens: Quantity = 0
    reasoning_tokens: Quantity = 0
    output_audio_tokens: Quantity = 0
    output_image_tokens: Quantity = 0
    images_in: Quantity = 0
    images_out: Quantity = 0
    video_seconds: Quantity = 0
    tool_calls: Quantity = 0
    tool_call_errors: Quantity = 0
    web_searches: Quantity = 0


class UsageEvent(_Quantities):
    """One model call attempt. ``input_tokens`` includes cached and cache-write tokens, ``output_tokens`` reasoning.

    Building one raises pydantic.ValidationError where a rule of ``tokenmeter.events.accept`` is broken, so an
    event that exists can be metered (its time is judged later, against the broker's clock).
    """

    event_id: Annotated[str, Field(min_length=1, max_length=accept.EVENT_ID_BYTES_MAX)]
    kind: Kind = Kind.USAGE
    corrects: Text | None = None
    occurred_at: AwareDatetime
    started_at: AwareDatetime | None = None
    source: Text = ""
    sequence: int | None = None

    customer_id: Name
    project_id: Text | None = None
    api_key_id: Text | None = None
    end_user_id: Text | None = None
    app_id: Text | None = None
    session_id: Text | None = None
    country: Text | None = None
    region: Text | None = None

    request_id: Text | None = None
    attempt: Int32 = 1
    upstream_id: Text | None = None
    operation: Operation = Operation.CHAT
    model: Name
    requested_model: Text | None = None
    variant: Text = "standard"
    provider: Name
    endpoint_id: Text | None = None
    router: Text | None = None
    service_tier: Text | None = None
    streamed: bool = False
    cancelled: bool = False
    byok: bool = False
    status: Int32 = 200
    error_class: Text | None = None
    finish_reason: Text | None = None
    task: Text | None = None
    tags: tuple[Text, ...] = ()

    latency_ms: Int32 | None = None
    duration_ms: Int32 | None = None
    reported_cost: ReportedCost = None

    calls: Quantity = 0
    context_bucket: Text | None = None
    rating: Text | None = None

    @model_validator(mode="after")
    def _is_acceptable(self) -> Self:
        reason = accept.reason_against(self.to_record())
        if reason is not None:
            raise ValueError(f"{reason}: {accept.DETAILS[reason]}")
        return self

    def to_record(self) -> dict[str, Any]:
        """The event as the Avro encoder takes it."""
        record = dict(self.__dict__)
        record["tags"] = list(self.tags)
        return record

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> UsageEvent:
        """The event of a decoded Avro record; raises Poison(``invariant``) where a rule is broken."""
        try:
            return cls.model_validate(record)
        except ValueError as error:
            raise Poison("invariant", str(error)) from error
