"""Forms of rows whose rules a service holds: what it refuses is shown at the field it names."""

from __future__ import annotations

from typing import Any

from django import forms

from accounts.admin.tenancy import TenantModelForm
from castcomm.common.errors import InvalidInput


class ServiceForm(TenantModelForm):
    """Asks ``check_service`` once the fields themselves are right."""

    def check_service(self, row: Any) -> None:
        """Call the service's check of ``row``; InvalidInput becomes an error of the form."""

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors:
            return
        try:
            self.check_service(self.instance)
        except InvalidInput as error:
            self.add_error(
                error.attr if error.attr in self.fields else None, forms.ValidationError(error.message)
            )
