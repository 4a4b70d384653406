from django.db import migrations

POSTGRES = """
CREATE FUNCTION audit_only_added_to() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit log is only added to.';
END $$;
CREATE TRIGGER audit_only_added_to BEFORE UPDATE OR DELETE ON annotations_auditentry
FOR EACH ROW EXECUTE FUNCTION audit_only_added_to();
"""
POSTGRES_BACK = """
DROP TRIGGER audit_only_added_to ON annotations_auditentry;
DROP FUNCTION audit_only_added_to();
"""
# SQLite's own flush, which tests and `manage.py flush` use, is a DELETE: there the model refuses.
SQLITE = """
CREATE TRIGGER audit_only_added_to BEFORE UPDATE ON annotations_auditentry
BEGIN SELECT RAISE(ABORT, 'The audit log is only added to.'); END;
"""
SQLITE_BACK = "DROP TRIGGER audit_only_added_to;"


def put(postgres, sqlite):
    def run(apps, schema_editor):
        schema_editor.execute(postgres if schema_editor.connection.vendor == "postgresql" else sqlite)

    return run


class Migration(migrations.Migration):
    dependencies = [("annotations", "0010_audit_invitations_and_scopes")]

    operations = [migrations.RunPython(put(POSTGRES, SQLITE), put(POSTGRES_BACK, SQLITE_BACK))]
