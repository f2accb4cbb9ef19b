"""Where ``tokenmeter`` begins: says what to install where there is the SDK alone, which needs no command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command, or say which extra brings it."""
    try:
        from tokenmeter.cli import app as cli
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("tokenmeter"):
            raise
        sys.exit(
            f"tokenmeter: the command needs the Python package {missing.name}; what is installed is the SDK alone "
            "(next: pip install 'tokenmeter[local]' for everything, or 'tokenmeter[gateway]' for the HTTP gateway)"
        )
    cli.main()


if __name__ == "__main__":
    main()
