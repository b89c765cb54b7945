"""What a person killed stays down; an image's stop signal is used where nobody chose one."""

from typing import Any

from django.db import migrations, models


def forget_defaults(apps: Any, schema_editor: Any) -> None:
    """SIGTERM was written where nobody had chosen a signal: empty means that now."""
    Container = apps.get_model("networks", "Container")
    for row in Container.objects.only("spec").iterator():
        if row.spec.get("stop_signal") == "SIGTERM":
            row.spec["stop_signal"] = ""
            row.save(update_fields=["spec"])


class Migration(migrations.Migration):
    dependencies = [("networks", "0022_docker_engines")]

    operations = [
        migrations.AddField(
            model_name="container", name="final_run", field=models.CharField(blank=True, max_length=32)
        ),
        migrations.RunPython(forget_defaults, migrations.RunPython.noop),
    ]
