-- The last hour with simulated lines; 1970 when there is none.
SELECT max(occurred_hour) FROM simulated.usage_market
