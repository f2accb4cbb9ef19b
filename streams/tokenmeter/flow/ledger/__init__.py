"""The ledger: balances, budgets and credit alerts of accounts, from the entries of their journals.

See README.md beside this file: what an entry does, which state an account has, what always holds.
"""
