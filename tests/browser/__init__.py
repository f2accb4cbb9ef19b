"""Looks at the boards in a real browser; not collected by make test."""
