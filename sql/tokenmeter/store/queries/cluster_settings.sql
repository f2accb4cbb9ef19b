-- What this user's queries do on a cluster, as far as it matters.
SELECT name, value
FROM system.settings
WHERE name IN {names:Array(String)}
