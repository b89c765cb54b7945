from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("networks", "0023_stop_signals"),
    ]

    operations = [
        migrations.AddField(
            model_name="subnet",
            name="vni",
            field=models.PositiveIntegerField(blank=True, null=True, unique=True),
        ),
    ]
