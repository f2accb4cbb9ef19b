"""The audit of the ledger: a page's CHARGE entries against its lines, and every account's state against its journal.

Written from the contract and the ledger's README alone, without the ledger's code: ``charged`` adds up what the lines
of a page say each account owes, ``book`` books one account's entries the obvious way, ``journal`` reads them.
"""
