"""Looks at the boards in a real browser: Debian's chromium, or whatever Chromium is there; skipped without one."""
