from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotations", "0021_submission_key")]

    # Nothing changes in the database.
    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    "storedfile",
                    "thumbnail",
                    models.CharField(
                        max_length=255, help_text="Storage name: JPEG or WebP, at most 320 px."
                    ),
                )
            ]
        )
    ]
