"""What gunicorn serves: Superset, its administrator's password made the one in secrets.json before it answers.

Making the administrator here spares a second process and its ten seconds of imports.
"""

import json
import os
from pathlib import Path
from typing import Any

from superset.app import create_app  # type: ignore[import-not-found]


def ensure_admin(manager: Any, user: str, password: str) -> None:
    """Create ``user`` as administrator, or give it this password if it has another."""
    from werkzeug.security import check_password_hash

    known = manager.find_user(username=user)
    if known is None:
        role = manager.find_role(manager.auth_role_admin)
        if not manager.add_user(user, "Local", "Admin", f"{user}@localhost", role, password):
            raise RuntimeError(f"cannot create the user {user}")
    elif not check_password_hash(known.password, password):
        manager.reset_password(known.id, password)


app = create_app()
with app.app_context():
    _secrets = json.loads((Path(os.environ["SUPERSET_HOME"]) / "secrets.json").read_text())
    ensure_admin(app.appbuilder.sm, _secrets["user"], _secrets["password"])
