"""Health checks: whether a container has one, and what it found."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("networks", "0024_segments_of_subnets")]

    operations = [
        migrations.AddField(
            model_name="container", name="has_health_check", field=models.BooleanField(default=False)
        ),
        migrations.AddField(
            model_name="container", name="health", field=models.JSONField(blank=True, default=dict)
        ),
    ]
