"""An upstream's bill against our cost: read by a mapping, compared to the last digit, currencies apart."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from tokenmeter.events.errors import Misconfigured
from tokenmeter.ops.supplier.compare import MEASURES, Verdict, compare, compare_reported
from tokenmeter.ops.supplier.export import Export, read_export
from tokenmeter.ops.supplier.figures import Figures, Key, Sums, Tolerance, exact_sum, tolerance_of
from tokenmeter.ops.supplier.mapping import built_in, mapping_in
from tokenmeter.ops.supplier.report import Comparison

DAY = date(2026, 11, 1)
A = Key(DAY, "a/one", "USD")


def usd(amount: str, calls: int = 1, uncosted: int = 0) -> Figures:
    return Figures(Decimal(amount), calls=calls, uncosted_calls=uncosted)


def verdicts(theirs: Sums, ours: Sums, tolerance: str = "0%") -> dict[Key, str]:
    return {row.key: str(row.verdict) for row in compare(theirs, ours, tolerance_of(tolerance))}


def test_each_row_has_its_verdict() -> None:
    b, c, d = A._replace(model="b"), A._replace(model="c"), A._replace(day=date(2026, 11, 2))
    theirs = {A: usd("1.000000000001"), b: usd("1"), c: usd("2")}
    ours = {A: usd("1.000000000001"), c: usd("2.000000000001"), d: usd("3")}
    assert verdicts(theirs, ours) == {A: "matched", b: "theirs only", c: "amount differs", d: "ours only"}
    assert not Comparison("x", compare(theirs, ours)).ok
    assert Comparison("x", compare({A: usd("1")}, {A: usd("1.0")})).ok


@pytest.mark.parametrize(
    ("tolerance", "ours", "verdict"),
    [
        ("0.5%", "100.5", "matched"),
        ("0.5%", "99.5", "matched"),
        ("0.5%", "100.500000000001", "amount differs"),
        ("0.02", "100.02", "matched"),
        ("0.02", "100.020000000001", "amount differs"),
    ],
)
def test_the_limit_of_the_tolerance_still_matches(tolerance: str, ours: str, verdict: str) -> None:
    assert verdicts({A: usd("100")}, {A: usd(ours)}, tolerance) == {A: verdict}


@pytest.mark.parametrize("text", ["", "1%%", "-1%", "nan", "one", "inf%"])
def test_a_tolerance_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        tolerance_of(text)


def test_two_currencies_are_never_added_nor_compared() -> None:
    euro = A._replace(currency="EUR")
    assert verdicts({A: usd("1"), euro: usd("1")}, {A: usd("2")}) == {A: "amount differs", euro: "theirs only"}


def test_calls_without_a_cost_price_are_no_amount_of_nought() -> None:
    unknown = A._replace(currency=None)
    ours = {A: usd("1"), unknown: Figures(None, calls=2, uncosted_calls=2)}
    assert verdicts({A: usd("1")}, ours) == {A: "no cost price"}
    assert verdicts({}, {unknown: ours[unknown]}) == {unknown: "no cost price"}
    euro = A._replace(currency="EUR")
    assert verdicts({A: usd("1"), euro: usd("1")}, {**ours, euro: usd("1")}) == {
        A: "matched",
        euro: "matched",
        unknown: "no cost price",
    }


def test_sums_are_exact_where_decimal_itself_would_round() -> None:
    amounts = [Decimal(10**26), Decimal("0.000000000001")] * 3
    assert exact_sum(amounts) == Decimal("300000000000000000000000000.000000000003")
    assert sum(amounts) != exact_sum(amounts), "the mutant that sums in the default context is caught"
    assert verdicts({A: Figures(exact_sum(amounts))}, {A: Figures(Decimal(3 * 10**26))}) == {A: "amount differs"}


def test_tokens_decide_where_there_is_no_amount() -> None:
    bare = A._replace(currency=None)
    theirs = {bare: Figures(None, 10, 5)}
    ours = {A: Figures(Decimal(1), 6, 5), A._replace(currency="EUR"): Figures(Decimal(1), 4, 0)}
    (row,) = compare(theirs, ours, Tolerance(), MEASURES[1:])
    assert (row.key, row.verdict) == (bare, Verdict.MATCHED)
    (row,) = compare({bare: Figures(None, 10, 6)}, ours, Tolerance(), MEASURES[1:])
    assert row.verdict is Verdict.DIFFERS


def test_upstream_s_own_figures_are_compared_in_their_currency_alone() -> None:
    one, other, unknown = A._replace(provider="p"), A._replace(currency="EUR", provider="p"), Key(DAY, "x", None, "p")
    rows = compare_reported(
        {
            one: (usd("1"), usd("1.001")),
            other: (usd("1"), usd("1")),
            unknown: (usd("1"), Figures(None, calls=1, uncosted_calls=1)),
        },
        tolerance_of("0.1%"),
        "USD",
    )
    assert {row.key: row.verdict for row in rows} == {
        one: Verdict.MATCHED,
        other: Verdict.OTHER_CURRENCY,
        unknown: Verdict.UNCOSTED,
    }


GENERATIONS = """\
generation_id,created_at,cost_total,byok_usage_inference,tokens_prompt,tokens_completion,model_permaslug,provider_name
gen-1,2026-11-01 23:59:59.999,0.000123,0,1000,20,a/one,P
gen-2,2026-11-02 00:00:00.000,1.5e-05,0,10,2,a/one,P
gen-3,2026-11-01 08:00:00,0.000001,0,1,1,a/one,P
"""
COSTS = """\
start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,quantity_unit,line_item,project_id
1793491200,1793577600,2026-11-01T00:00:00,2026-11-02T00:00:00,,,,,,
1793491200,1793577600,2026-11-01T00:00:00,2026-11-02T00:00:00,0.5,usd,10,tokens,"gpt-x, input_tokens",p
1793491200,1793577600,2026-11-01T00:00:00,2026-11-02T00:00:00,0.0038359800000000000000000001,usd,,,gpt-x,p
"""
USAGE = """\
start_time,end_time,start_time_iso,project_id,num_model_requests,model,input_tokens,output_tokens,input_cached_tokens
1793491200,1793491260,2026-11-01T00:00:00+00:00,,,,,,
1793491200,1793491260,2026-11-01T00:00:00+00:00,p,2,gpt-x,1000,20,800
1793577599,1793577600,2026-11-01T23:59:59+00:00,p,1,gpt-x,5.0,1,0
"""
ACTIVITY = """\
date,model,model_permaslug,endpoint_id,provider_name,usage,byok_usage_inference,requests,prompt_tokens,completion_tokens
2026-11-01,a/one,a/one-20260101,e,P,0.015,0.012,5,50,125
"""


def export(tmp_path: Path, text: str, form: str) -> Export:
    file = tmp_path / "bill.csv"
    file.write_text(text, encoding="utf-8-sig")
    return read_export(file, built_in(form))


def test_built_in_formats_are_told_apart_by_their_columns(tmp_path: Path) -> None:
    made = export(tmp_path, GENERATIONS, "openrouter")
    assert made.sums == {
        A: Figures(Decimal("0.000124"), 1001, 21),
        A._replace(day=date(2026, 11, 2)): Figures(Decimal("0.000015"), 10, 2),
    }
    made = export(tmp_path, ACTIVITY, "openrouter")
    assert made.sums == {Key(DAY, "a/one-20260101", "USD"): Figures(Decimal("0.015"), 50, 125)}
    made = export(tmp_path, COSTS, "openai")
    assert made.sums == {Key(DAY, "openai/gpt-x", "USD"): Figures(Decimal("0.5038359800000000000000000001"))}
    assert (made.lines, made.bad, made.mapping.provider) == (2, [], ("openai",))
    made = export(tmp_path, USAGE, "openai")
    assert made.sums == {Key(DAY, "openai/gpt-x"): Figures(None, 1005, 21)}


MAPPING = """
provider = ["acme"]
delimiter = ";"
[time]
column = "when"
format = "%d.%m.%Y %H:%M"
zone = "Asia/Shanghai"
[model]
column = "sku"
patterns = [{ match = '^ACME-(.+)$', replace = 'acme/\\1' }]
aliases = { "acme/old" = "acme/new" }
[tokens]
input = "in"
output = "out"
[cost]
column = "fen"
currency = "CNY"
unit = "0.01"
"""


def test_a_mapping_says_columns_zone_unit_and_names(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(MAPPING)
    (tmp_path / "bill.csv").write_text(
        "when;sku;in;out;fen\n02.11.2026 07:59;ACME-old;1;2;150\n02.11.2026 08:00;x;1;2;1\n"
    )
    made = read_export(tmp_path / "bill.csv", [mapping_in(tmp_path / "map.toml")])
    assert made.bad == []
    assert made.sums == {
        Key(DAY, "acme/new", "CNY"): Figures(Decimal("1.5"), 1, 2),
        Key(date(2026, 11, 2), "x", "CNY"): Figures(Decimal("0.01"), 1, 2),
    }


def test_a_mapping_may_add_aliases_to_a_built_in_layout(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text('extends = "openai_costs"\n[model.aliases]\n"openai/gpt-x" = "azure/gpt-x"\n')
    (tmp_path / "bill.csv").write_text(COSTS)
    made = read_export(tmp_path / "bill.csv", [mapping_in(tmp_path / "map.toml")])
    assert [key.model for key in made.sums] == ["azure/gpt-x"]


BAD = GENERATIONS + (
    "gen-4,yesterday,0.1,0,1,1,a/one,P\n"
    "gen-5,2026-11-01 08:00:00,nan,0,1,1,a/one,P\n"
    "gen-6,2026-11-01 08:00:00,,0,1,1,a/one,P\n"
    "gen-7,2026-11-01 08:00:00,0.1,0,1.5,1,a/one,P\n"
    "gen-8,2026-11-01 08:00:00,0.1,0,1,1,,P\n"
    "gen-9,2026-11-01 08:00:00,0.1\n"
    "gen-10,2026-11-01 08:00:00,0.1,0,1,1,a/one,P,more\n"
    '"gen\n11",2026-11-01 08:00:00,$1,0,1,1,a/one,P\n'
    'gen-12,2026-11-01 08:00:00,"0.1"x,0,1,1,a/one,P\n'
)


def test_every_line_that_cannot_be_read_is_named_with_its_reason(tmp_path: Path) -> None:
    made = export(tmp_path, BAD, "openrouter")
    named = [str(one).removeprefix(f"{tmp_path}/") for one in made.bad]
    wanted = [
        (5, "yesterday"),
        (6, "'nan' is not a finite number"),
        (7, "cost_total is empty"),
        (8, "tokens_prompt 1.5 is not a whole number"),
        (9, "model_permaslug is empty"),
        (10, "model_permaslug is empty"),
        (11, "more fields than the header has"),
        (13, "'$1' is not a number"),
        (14, "expected after"),
    ]
    assert len(named) == len(wanted)
    for said, (line, reason) in zip(named, wanted, strict=True):
        assert said.startswith(f"bill.csv:{line}: ") and reason in said, said
    assert made.lines == 3
    assert not Comparison("x", [], made.bad).ok, "what was left out is no match"


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (('unit = "0.01"', 'unit = "-1"'), "cost.unit"),
        (('currency = "CNY"', ""), "cost: .*currency or currency_column"),
        (("Asia/Shanghai", "Asia/Nowhere"), "Nowhere"),
        (("'^ACME-(.+)$'", "'^ACME-(.+$'"), "match"),
        (('column = "sku"', 'colum = "sku"'), "model.colum"),
        (("delimiter", "delimiter ="), "map.toml: "),
    ],
)
def test_a_mapping_that_is_none_is_refused_by_name(tmp_path: Path, edit: tuple[str, str], said: str) -> None:
    (tmp_path / "map.toml").write_text(MAPPING.replace(*edit))
    with pytest.raises(Misconfigured, match=said):
        mapping_in(tmp_path / "map.toml")


def test_a_file_of_another_shape_is_refused_naming_the_columns_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"bill.csv:1: .*amount_value.*openai_usage needs also model"):
        export(tmp_path, "start_time,line_item\n", "openai")
    with pytest.raises(Misconfigured, match="openai, openrouter"):
        built_in("acme")


def test_the_csv_has_every_row_and_amounts_to_the_last_digit(tmp_path: Path) -> None:
    made = Comparison("x", compare({A: usd("1E-12")}, {}))
    made.write_csv(tmp_path / "out.csv")
    assert "2026-11-01,a/one,,USD,theirs only,0.000000000001,,-0.000000000001" in (tmp_path / "out.csv").read_text()
    assert made.as_dict()["rows"][0]["their_cost"] == "0.000000000001"
