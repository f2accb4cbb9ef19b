"""Measures tokenmeter beside the plainest program that could do part of the work: ``make bench``.

Both run in the same session on the same machine against the same topic; ratios count, absolute figures are noisy.
"""
