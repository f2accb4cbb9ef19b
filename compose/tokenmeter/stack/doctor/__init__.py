"""What can be wrong with an installation, looked for part by part; each finding names the command that mends it.

It changes nothing but one thing: Kafka remembers the transactional id ``tokenmeter-doctor`` for a week.
"""
