"""Rating: what each call owes and costs, in columns, by one state of the catalog.

Owns: the catalog as the meter holds it, the choice of a price for each event, and the multiplication.
Promises: the rules of ``tokenmeter/events/pricing.md`` to the last pico-unit; the same batch and catalog offset give
the same ratings. No price is null, never 0.
Must never: write to Kafka, ask the clock, or import the meter.
"""
