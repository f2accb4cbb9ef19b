"""The market's tab "Money": spend, margin and price; never added across currencies."""

from __future__ import annotations

from tokenmeter.boards import metrics as m
from tokenmeter.boards.chart import Where
from tokenmeter.boards.forms import MONEY_FORMAT, PERCENT_FORMAT, TOKENS_FORMAT, bubbles, over_time, table, tile
from tokenmeter.boards.ranges import DAYS

_CHARGE, _IN_MAIN = m.total("charge", "Charge"), (Where("is_main", "==", 1),)
MONEY = (
    tile(
        "priced-share",
        "Calls with a price",
        "Share of all calls that have a price.",
        "models",
        m.formula("1 - sum(unpriced) / nullIf(sum(calls), 0)", "Priced"),
        PERCENT_FORMAT,
        time=DAYS,
        width=4,
    ),
    tile(
        "unpriced",
        "Calls without a price",
        "Calls that no price applies to: they are in no figure of money.",
        "models",
        m.total("unpriced", "Unpriced"),
        TOKENS_FORMAT,
        time=DAYS,
        width=4,
    ),
    tile(
        "uncosted",
        "Calls without a cost",
        "Calls of which no upstream price is known: they are in no margin.",
        "models",
        m.total("uncosted", "Uncosted"),
        TOKENS_FORMAT,
        time=DAYS,
        width=4,
    ),
    over_time(
        "spend-by-day",
        "Spend per day",
        "What customers owe for the calls of each UTC day, a bar per currency: currencies are never added.",
        "money",
        (_CHARGE,),
        "day",
        by="currency",
        time=DAYS,
        number_format=TOKENS_FORMAT,
        width=12,
    ),
    table(
        "margin-by-model",
        "Margin by model",
        "Charge minus upstream cost over calls that have both in one currency, a row per model and currency.",
        "money",
        ("model", "currency"),
        (
            (m.total("margin", "Margin"), MONEY_FORMAT),
            (m.ratio("margin", "margin_charge", "Of charge"), PERCENT_FORMAT),
            (m.total("margin_charge", "Charge"), MONEY_FORMAT),
            (m.total("margin_cost", "Cost"), MONEY_FORMAT),
        ),
        time=DAYS,
        width=7,
    ),
    table(
        "effective-price",
        "Effective price",
        "Charge per million input and output tokens over calls that have a price, a row per model and currency.",
        "money",
        ("model", "currency"),
        ((_CHARGE, MONEY_FORMAT), (m.PRICE_PER_MILLION, ",.3f"), (m.TOKENS, TOKENS_FORMAT)),
        time=DAYS,
        width=5,
    ),
    bubbles(
        "price-volume",
        "Price against volume",
        "Models by effective price per million tokens and tokens, both logarithmic, in the currency most charged in.",
        "money",
        "model",
        "author",
        (m.PRICE_PER_MILLION, ",.2f"),
        (m.TOKENS, TOKENS_FORMAT),
        _CHARGE,
        log=True,
        time=DAYS,
        where=_IN_MAIN,
        having="sum(charge) > 0 AND sum(tokens) > 0",
    ),
    bubbles(
        "token-spend-share",
        "Token share against spend share",
        "Models by their share of priced tokens and their share of spend, in the currency most charged in.",
        "money",
        "model",
        "author",
        (m.share("tokens", "Token share"), PERCENT_FORMAT),
        (m.share("charge", "Spend share"), PERCENT_FORMAT),
        m.MILLIONS,
        log=False,
        time=DAYS,
        where=_IN_MAIN,
    ),
)
