"""A week of bad days, on the stack that ``tokenmeter up`` starts, under load: ``make week``.

Owns: the plan (pure, from a seed), the hands that carry it out, the signs by which a part is back, the verdict.
Promises: what was acknowledged is compared id by id and to the last pico with the log, the lines, the journal and the
store; a meter that does not look whether an event came before is caught by the same verdict.
Must never: touch a process or a disk that is not this week's own.
"""
