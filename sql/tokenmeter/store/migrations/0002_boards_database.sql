-- Dashboards read views and nothing else, so a table can change without breaking a chart.
CREATE DATABASE IF NOT EXISTS boards
