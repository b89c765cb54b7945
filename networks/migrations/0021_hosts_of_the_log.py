from django.db import migrations, models
from django.db.models import OuterRef, Subquery


def tell(apps, _editor):
    """What was asked of a worker was about its host."""
    operations = apps.get_model("networks", "Operation").objects.filter(pk=OuterRef("operation"))
    rows = apps.get_model("networks", "Activity").objects.exclude(operation=None)
    rows.update(host=Subquery(operations.values("host__name")[:1]))


class Migration(migrations.Migration):

    dependencies = [
        ("networks", "0020_plugins"),
    ]

    operations = [
        migrations.AddField(
            model_name="activity",
            name="host",
            field=models.CharField(blank=True, default="", max_length=64),
            preserve_default=False,
        ),
        migrations.RunPython(tell, migrations.RunPython.noop),
    ]
