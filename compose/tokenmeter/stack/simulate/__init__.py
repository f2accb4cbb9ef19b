"""A market to look at: 18 months of a router's usage, seeded, labelled simulated and removed by one command.

Owns the facts it is made of (``facts/``, our selection of published ones) and the rows it makes of them. Promises that
every week's figure that the facts give is met to the token, whatever the seed. Must never write where metered rows are:
its tables are those of the database ``simulated``, which no audit, reconcile, rebuild or statement reads.
"""
