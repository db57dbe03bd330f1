from __future__ import annotations

from typing import Any

from django.db import migrations

NAMES = {False: "Concert under the stars", True: "Concert under the same stars"}


def add_events(apps: Any, schema_editor: Any) -> None:
    events = apps.get_model("tickets", "Event").objects.using(schema_editor.connection.alias)
    for guarded, name in NAMES.items():
        events.create(name=name, guarded=guarded)


class Migration(migrations.Migration):
    dependencies = [("tickets", "0001_initial")]
    operations = [migrations.RunPython(add_events, migrations.RunPython.noop)]
