"""A day of traffic in four minutes, and whether the workers end it as they began it: ``make soak``.

Owns: the day's rhythm, the samples, the judgement of flatness, the chart.
Promises: seeded; every event counted once at the end; a meter that leaks on purpose fails the same judgement.
Must never: judge by the first quarter, in which processes warm up and are killed.
"""
