"""The Django app: its name, and what happens once all apps are loaded."""

from django.apps import AppConfig
from django.apps import apps as installed


class AiodataConfig(AppConfig):
    """``aiodata_django`` under the label that URLs, permissions and content types show."""

    name = "aiodata_django"
    label = "aiodata"
    verbose_name = "Tables"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Build the models from the schema file; nothing is started and no query is issued."""
        from . import checks, registry, relay

        checks.register_all()
        registry.load()
        if installed.is_installed("django.contrib.admin"):
            from .admin import register

            register.register_all()
        registry.subscribe(relay.announce)
