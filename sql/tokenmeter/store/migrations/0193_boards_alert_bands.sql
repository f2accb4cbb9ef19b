-- Every anomaly that a board may choose, minute by minute beside its band.
CREATE VIEW IF NOT EXISTS boards.alert_bands
(
    anomaly       Nullable(String) COMMENT 'Name of the alert, as in boards.anomalies',
    measure       String COMMENT 'tokens, calls, errors and so on',
    minute        DateTime('UTC') COMMENT 'By the clock of the meter',
    seen          Nullable(Float64) COMMENT 'What the subject did',
    low           Float64 COMMENT 'Less would be surprising; many such minutes are a fall',
    expected      Float64 COMMENT 'By what the watch knew when it told',
    high          Float64 COMMENT 'More is a spike'
)
AS SELECT anomaly, measure, minute, seen, low, expected, high FROM tokenmeter.anomaly_minutes(places = 1000)
