"""How full a host's table of connections is."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("networks", "0027_volumes")]

    operations = [
        migrations.AddField("host", "connections", models.PositiveIntegerField(default=0)),
        migrations.AddField("host", "most_connections", models.PositiveIntegerField(default=0)),
    ]
