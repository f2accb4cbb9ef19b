"""Make the metadata database that every new data folder starts from: tables, roles and permissions, no user.

One process does what ``superset db upgrade`` and ``superset init`` do in two.
"""

from pathlib import Path

import superset  # type: ignore[import-not-found]
from flask_migrate import upgrade  # type: ignore[import-untyped]
from superset.app import create_app  # type: ignore[import-not-found]

app = create_app()
with app.app_context():
    upgrade(directory=str(Path(superset.__file__).parent / "migrations"))
    app.appbuilder.add_permissions(update_perms=True)
    app.appbuilder.sm.sync_role_definitions()
