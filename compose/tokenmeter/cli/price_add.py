"""The verb ``prices add``: one price, in flags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from tokenmeter.cli.catalog import (
    BookOption,
    DataOption,
    FromOption,
    NoteOption,
    StrictOption,
    TokensOption,
    moment,
    say,
    say_written,
    write,
)
from tokenmeter.events.catalog_row import LIST_BOOK
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.changes import named
from tokenmeter.stack.prices.proposed import COMMAND_LINE, Problem, Proposed, Rejected
from tokenmeter.stack.prices.shown import line
from tokenmeter.stack.prices.strict import strictly
from tokenmeter.stack.prices.terms import price_of

EXAMPLES = (
    "Examples: tokenmeter prices add --model z-ai/glm-5 --input 0.30 --output 2.55 · tokenmeter prices add "
    "--model qwen/qwen3-max --input 1.2 --output 6 --cached-input 0.24 --above-tokens 128k --provider alibaba "
    "--book cost · tokenmeter prices add --model deepseek/deepseek-v3.2 --input 0.14 --output 0.21 "
    "--window 16:30-00:30 --weekdays mon-fri · tokenmeter prices add --model '*' --free · "
    "tokenmeter prices add --model z-ai/glm-5 --withdraw"
)


def add(
    model: Annotated[str, typer.Option(help="author/slug, author/* for all of an author's, * for all")],
    input_: Annotated[str | None, typer.Option("--input", help="per million input tokens")] = None,
    output: Annotated[str | None, typer.Option(help="per million output tokens")] = None,
    cached_input: Annotated[str | None, typer.Option(help="per million, read from cache (default: as input)")] = None,
    cache_write: Annotated[str | None, typer.Option(help="per million, cached for 5 minutes")] = None,
    cache_write_1h: Annotated[str | None, typer.Option("--cache-write-1h", help="per million, for an hour")] = None,
    reasoning: Annotated[str | None, typer.Option(help="per million reasoning tokens (default: as output)")] = None,
    input_audio: Annotated[str | None, typer.Option(help="per million audio tokens sent")] = None,
    input_image: Annotated[str | None, typer.Option(help="per million image tokens sent")] = None,
    output_audio: Annotated[str | None, typer.Option(help="per million audio tokens made")] = None,
    output_image: Annotated[str | None, typer.Option(help="per million image tokens made")] = None,
    request: Annotated[str | None, typer.Option(help="for each call that did not fail")] = None,
    image_in: Annotated[str | None, typer.Option(help="for each image sent")] = None,
    image_out: Annotated[str | None, typer.Option(help="for each image made")] = None,
    second: Annotated[str | None, typer.Option(help="for each second of video or audio")] = None,
    search: Annotated[str | None, typer.Option(help="for each web search")] = None,
    book: BookOption = LIST_BOOK,
    provider: Annotated[str | None, typer.Option(help="only where this host serves (default: any)")] = None,
    variant: Annotated[str | None, typer.Option(help="only this variant, as batch (default: any but free)")] = None,
    tier: Annotated[str | None, typer.Option(help="only this service tier, as priority (default: any)")] = None,
    above_tokens: Annotated[str | None, typer.Option(help="only calls with more input tokens, as 200k")] = None,
    window: Annotated[str | None, typer.Option(help="only these UTC hours, as 22:00-02:00")] = None,
    weekdays: Annotated[
        str | None, typer.Option(help="only windows that start on these, as mon-fri or sat,sun")
    ] = None,
    currency: Annotated[str, typer.Option(help="ISO 4217, or an allowed token")] = "USD",
    provisional: Annotated[bool, typer.Option("--provisional", help="stands in until the real price is known")] = False,
    free: Annotated[bool, typer.Option("--free", help="costs nothing; alone: for calls of variant free")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="from then on there is no such price")] = False,
    start: FromOption = None,
    note: NoteOption = None,
    strict: StrictOption = False,
    token_currency: TokensOption = None,
    data: DataOption = None,
) -> None:
    """Write one price, in currency per million tokens. It takes the place of the one for the same calls."""
    told: dict[str, str | None] = {
        "model": model,
        "book": book,
        "provider": provider,
        "variant": variant,
        "tier": tier,
        "above_tokens": above_tokens,
        "window": window,
        "weekdays": weekdays,
        "from": start,
        "currency": currency.upper(),
        "provisional": "yes" if provisional else None,
        "free": "yes" if free else None,
        "withdraw": "yes" if withdraw else None,
        "input": input_,
        "output": output,
        "cached_input": cached_input,
        "cache_write": cache_write,
        "cache_write_1h": cache_write_1h,
        "reasoning": reasoning,
        "input_audio": input_audio,
        "input_image": input_image,
        "output_audio": output_audio,
        "output_image": output_image,
        "request": request,
        "image_in": image_in,
        "image_out": image_out,
        "second": second,
        "search": search,
        "note": note,
    }
    try:
        row = price_of(told, moment(None, "--from"))
    except ValueError as error:
        raise Rejected([Problem(COMMAND_LINE, str(error))], hint="tokenmeter prices add --help") from error
    proposed = [Proposed(row, COMMAND_LINE)]

    def propose(known: Catalog) -> Sequence[Proposed]:
        before = known.like(row)
        if row.withdrawn and (before is None or before.withdrawn):
            raise Rejected(
                [Problem(COMMAND_LINE, f"{named(row)} is not in force: there is nothing to withdraw")],
                hint=f"tokenmeter prices list --model {model} --book {book}",
            )
        return strictly(proposed)(known) if strict else proposed

    written = write(data, propose, token_currency)
    say_written(written, "prices")
    if written.changes.rows:
        say(f"{named(row)}: {line(row)}, from {row.effective_from:%Y-%m-%d %H:%M} UTC, row {row.row_id}")
