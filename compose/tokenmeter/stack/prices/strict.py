"""Whether proposed prices are for models that somebody has named before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tokenmeter.events.catalog import ModelFacts, Price, PriceTerms
from tokenmeter.stack.prices.catalog import Catalog
from tokenmeter.stack.prices.proposed import Problem, Proposed, Rejected


def unknown_models(catalog: Catalog, proposed: Sequence[Proposed]) -> list[Problem]:
    """A problem for each price of a model that no model row (by name or alias) and no known price names."""
    facts = [row for row in catalog.timeline(ModelFacts).rows() if isinstance(row, ModelFacts)]
    names = {name for row in facts for name in (row.model, *row.aliases)}
    names |= {row.model for row in catalog.timeline(Price).rows() if isinstance(row, PriceTerms)}
    return [
        Problem(one.place, f"model {one.row.model} is not known")
        for one in proposed
        if isinstance(one.row, PriceTerms) and "*" not in one.row.model and one.row.model not in names
    ]


def strictly(proposed: Sequence[Proposed]) -> Callable[[Catalog], Sequence[Proposed]]:
    """Propose these rows, once the catalog shows that it knows their models; Rejected when it does not."""

    def propose(catalog: Catalog) -> Sequence[Proposed]:
        unknown = unknown_models(catalog, proposed)
        if unknown:
            raise Rejected(unknown, hint="correct the names, or leave --strict out")
        return proposed

    return propose
