"""What an operator does to metered data: reconcile, re-rate, release from quarantine, rebuild, restore positions.

Owns: each such job as a plan that is shown first, and its evidence.
Promises: a job that is cut off and run again ends as one that ran through.
Must never: change a record that is on Kafka; what was wrong is corrected by further records.
"""
