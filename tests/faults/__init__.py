"""What is broken on purpose, and what must hold all the same.

Owns: one module a kind of fault; each declares its faults in ``FAULTS`` and reads as "the fault, the invariant".
Promises: ids and exact sums are compared, never counts alone; every fault has a mutant that the same check catches.
Must never: depend on timing (it polls with a deadline), or judge by the code it tests.
"""
