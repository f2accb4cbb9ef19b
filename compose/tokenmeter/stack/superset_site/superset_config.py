"""Superset's settings for one machine: loopback, one process, everything it keeps in its own data folder.

Superset reads this file inside its own environment (SUPERSET_CONFIG_PATH); tokenmeter never imports it.
"""

import json
import logging
import os
import secrets
import warnings
from copy import deepcopy
from pathlib import Path

from superset import config as shipped  # type: ignore[import-not-found]
from superset_connections import keep_connections, know_the_schema  # type: ignore[import-not-found]

_data = Path(os.environ["SUPERSET_HOME"])
_secrets_file = _data / "secrets.json"
# The template of the metadata database is made with a key nobody keeps: nothing in it is encrypted.
SECRET_KEY = json.loads(_secrets_file.read_text())["secret_key"] if _secrets_file.exists() else secrets.token_hex(32)
GUEST_TOKEN_JWT_SECRET = GLOBAL_ASYNC_QUERIES_JWT_SECRET = SECRET_KEY

SQLALCHEMY_DATABASE_URI = f"sqlite:///{_data / 'metadata.db'}?timeout=30"
CACHE_CONFIG = {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 60}
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}
FILTER_STATE_CACHE_CONFIG = {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 86_400}
EXPLORE_FORM_DATA_CACHE_CONFIG = {"CACHE_TYPE": "SimpleCache", "CACHE_DEFAULT_TIMEOUT": 86_400}
RATELIMIT_ENABLED = True
RATELIMIT_STORAGE_URI = "memory://"
# A board of thirty charts asks more than the shipped 50 a second when it opens. Logins have a limit of their own.
RATELIMIT_APPLICATION = "500 per second"

DB_CONNECTION_MUTATOR = keep_connections
know_the_schema()

PUBLIC_ROLE_LIKE = None
AUTH_ROLE_PUBLIC = "Public"
AUTH_USER_REGISTRATION = False
SUPERSET_LOAD_EXAMPLES = False
FAB_API_SWAGGER_UI = False
# The boards' datasets pick their view by a template: dashboards/0001-filters-pick-the-view.md says who may write one.
FEATURE_FLAGS = {"ALERT_REPORTS": False, "ENABLE_TEMPLATE_PROCESSING": True}
BABEL_DEFAULT_LOCALE = "en"

# The browser speaks http to 127.0.0.1; forms and sessions stay protected.
WTF_CSRF_ENABLED = True
SESSION_COOKIE_SECURE = False
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True

# The telemetry pixel is compiled into the pages: the content policy forbids its hosts, so browsers never ask them.
TALISMAN_ENABLED = True
TALISMAN_CONFIG = deepcopy(shipped.TALISMAN_CONFIG)
TALISMAN_CONFIG["force_https"] = False
TALISMAN_CONFIG["session_cookie_secure"] = False
TALISMAN_CONFIG["content_security_policy"]["img-src"] = ["'self'", "blob:", "data:"]

# A board's pictures stand still: to let them grow took a browser a second of CPU while the next charts waited.
_still = {"echartsOptionsOverrides": {"animation": False}}
THEME_DEFAULT, THEME_DARK = {**shipped.THEME_DEFAULT, **_still}, {**shipped.THEME_DARK, **_still}

LOG_LEVEL = logging.WARNING
warnings.filterwarnings("ignore")
