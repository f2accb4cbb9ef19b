"""The loader: every topic of ours into ClickHouse, and the totals of what was loaded.

Owns: inserts shared by the pages that close together, and when totals are made anew.
Promises: a page is in its table before its position moves; loaded twice it counts once.
Must never: change what a record says, or load a topic that was made anew over the old one's pages.
"""
