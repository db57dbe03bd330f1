from __future__ import annotations

from typing import Any

from django.db import migrations


def add_event(apps: Any, schema_editor: Any) -> None:
    event = apps.get_model("tickets", "Event")
    event.objects.using(schema_editor.connection.alias).create(name="Concert under the stars")


class Migration(migrations.Migration):
    dependencies = [("tickets", "0001_initial")]
    operations = [migrations.RunPython(add_event, migrations.RunPython.noop)]
