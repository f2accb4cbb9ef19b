"""Traces and generated calls as events, with exact sums of what was sent.

Owns: the readers of traces, the catalogue they are attributed to, and the calls of the demo.
Promises: the same file and seed give the same events.
Must never: send anything by itself; it is handed who sends.
"""
