from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    operations = [
        migrations.CreateModel(
            name="Lock",
            fields=[
                ("name", models.TextField(primary_key=True, serialize=False, verbose_name="name")),
            ],
            options={
                "verbose_name": "lock",
                "verbose_name_plural": "locks",
                "permissions": [
                    ("view_lock", "Can view locks"),
                    ("release_lock", "Can release locks by force"),
                ],
                "managed": False,
                "default_permissions": (),
                "base_manager_name": "objects",
            },
        ),
    ]
