"""Gets rows into the catalog: what price lists and flags say as rows, what is wrong with them, and one transaction.

Owns: the formats of price lists, what an import changes, the rules a row must keep before it is written.
May import: events, emit's names, flow's log reader and price book.
Must never: edit or delete a row, or write some rows of an import and not the others.
"""
