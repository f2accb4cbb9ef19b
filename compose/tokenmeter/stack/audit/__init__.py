"""The audit: counts the log again by the slowest obvious means and compares it with everything derived from it.

Owns an independent recount (record by record, plain dicts and integers) and the comparison of four places: the events,
usage.pages, usage.billing and usage.market, ClickHouse. Promises to name the first page and field that differ.
Must never share code with the meter: only the contract, its accept rule and its line keys.
"""


