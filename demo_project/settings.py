"""Settings of the demo project, as a project of your own would have them.

Where its PostgreSQL listens is what `make demo` wrote into `.demo/addresses.json`; the environment wins.
"""

import json
import os
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

BASE_DIR = Path(__file__).resolve().parent.parent
ADDRESSES = BASE_DIR / ".demo" / "addresses.json"

addresses = json.loads(ADDRESSES.read_text()) if ADDRESSES.exists() else {}
# postgrest.conf takes its address from this variable.
os.environ.setdefault("DEMO_DATABASE", addresses.get("demo", "postgresql://authenticator@localhost/demo"))
DJANGO_DATABASE = os.environ.get("DEMO_DJANGO_DATABASE") or addresses.get("django", "postgresql:///django")


def database(uri: str) -> dict[str, object]:
    """A DATABASES entry for a postgresql:// URI."""
    parts = conninfo_to_dict(uri)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.get("dbname"),
        "USER": parts.get("user"),
        "PASSWORD": parts.get("password"),
        "HOST": parts.get("host"),
        "PORT": parts.get("port"),
        "OPTIONS": {"connect_timeout": 5},
    }


SECRET_KEY = os.environ.get("DEMO_SECRET_KEY", "a demo has no secrets, a project of yours has")
DEBUG = True
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = [
    "daphne",
    "aiodata_django",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

AIODATA = {
    "CONFIG_FILE": BASE_DIR / "demo_project" / "postgrest.conf",
    "DATABASE": "api",
    "SCHEMA_FILE": BASE_DIR / ".demo" / "schema.json",
}

# Django's own tables live in a database of their own; the served ones are reached through the alias "api".
DATABASES = {"default": database(DJANGO_DATABASE), "api": database(os.environ["DEMO_DATABASE"])}
# The login role may do nothing itself. The ORM and the admin work as auth; the API as each token says.
DATABASES["api"]["OPTIONS"] = {"connect_timeout": 5, "options": "-c role=auth"}

DATABASE_ROUTERS = ["aiodata_django.tables.router.TablesRouter"]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

ROOT_URLCONF = "demo_project.urls"
ASGI_APPLICATION = "demo_project.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
STATIC_URL = "static/"
