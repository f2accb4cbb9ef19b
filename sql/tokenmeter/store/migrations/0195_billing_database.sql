-- What finance reads: views that count once, whether or not a query says FINAL. They name customers, so the boards' user
-- has no right to them; give it to a reader of their own.
CREATE DATABASE IF NOT EXISTS billing
