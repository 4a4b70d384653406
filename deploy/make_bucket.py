"""Makes the bucket that STORAGE_URL names, where it is not there yet."""

import os
import sys

import django

sys.path.insert(0, os.getcwd())
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "labeler.settings")


def main() -> None:
    django.setup()
    from botocore.exceptions import ClientError
    from django.core.files.storage import default_storage

    bucket = default_storage.bucket  # type: ignore[attr-defined]  # of S3Storage
    try:
        bucket.meta.client.head_bucket(Bucket=bucket.name)
        print(f"The bucket {bucket.name} is there.")
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise
        bucket.create()
        print(f"Made the bucket {bucket.name}.")


if __name__ == "__main__":
    main()
