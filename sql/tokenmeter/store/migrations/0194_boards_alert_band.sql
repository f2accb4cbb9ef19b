-- The anomaly that a board shows when nobody chooses, minute by minute: the newest that is open, else the newest.
CREATE VIEW IF NOT EXISTS boards.alert_band
(
    measure       String COMMENT 'tokens, calls, errors and so on',
    minute        DateTime('UTC') COMMENT 'By the clock of the meter',
    seen          Nullable(Float64) COMMENT 'What the subject did',
    low           Float64 COMMENT 'Less would be surprising; many such minutes are a fall',
    expected      Float64 COMMENT 'By what the watch knew when it told',
    high          Float64 COMMENT 'More is a spike'
)
AS SELECT measure, minute, seen, low, expected, high FROM tokenmeter.anomaly_minutes(places = 1)
