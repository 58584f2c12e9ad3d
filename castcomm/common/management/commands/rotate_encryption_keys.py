"""``manage.py rotate_encryption_keys``: encrypt every encrypted field anew under the first key.

To change the key: put a new one in front of FIELD_ENCRYPTION_KEYS, restart, run this, then drop the old one.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from castcomm.common.rotation import encrypted_columns, rotate_column


class Command(BaseCommand):
    help = "Encrypt every encrypted field anew under the first key of FIELD_ENCRYPTION_KEYS."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--batch-size", type=int, default=500, help="rows per transaction (500)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["batch_size"] < 1:
            raise CommandError("--batch-size must be at least 1.")
        failed = 0
        for model, field in encrypted_columns():
            result = rotate_column(model, field, batch_size=options["batch_size"])
            failed += len(result.unreadable)
            self.stdout.write(f"{model._meta.label}.{field.name}: {result.rotated} rotated")
            for key in result.unreadable:
                self.stderr.write(f"{model._meta.label} {key}: no key opens {field.name}; left as it is")
        if failed:
            raise CommandError(
                f"{failed} values could not be opened. Keep the old keys until that is solved."
            )
