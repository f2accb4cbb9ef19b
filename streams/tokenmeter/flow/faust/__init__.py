"""Faust as the apps use it: a transport of whole fetches, and the worker around an engine.

Owns: fetching, assignment, health, metrics and the watchdog of a worker process.
Promises: one fetch of one partition is one message; nothing of Faust's commits a position.
Must never: look into a record, or use Faust's tables, windows or commits.
"""
