"""A person who signs in or receives messages. One account serves all organizations of the deployment."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models

from castcomm.common.clock import now
from castcomm.common.crypto import blind_index
from castcomm.common.fields import EncryptedTextField
from castcomm.common.ids import new_id


class UserManager(BaseUserManager["User"]):
    """Makes users whose e-mail address is normalised."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A user without staff rights; without a password the account has no usable one."""
        user = self.model(email=email, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A user who may do everything in the admin."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """Signs in by e-mail address. ``attributes`` are free facts that workflows ask about."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField("e-mail address", unique=True)
    email_index = models.CharField(max_length=32, editable=False, db_index=True)
    phone = EncryptedTextField("phone number", blank=True, help_text="E.164, for example +12025550123")
    phone_index = models.CharField(max_length=32, editable=False, blank=True, db_index=True)
    first_name = models.CharField(max_length=100, blank=True)
    last_name = models.CharField(max_length=100, blank=True)
    locale = models.CharField(max_length=16, default="en")
    time_zone = models.CharField(max_length=64, default="UTC")
    attributes = models.JSONField(default=dict, blank=True)
    allow_tracking = models.BooleanField(
        default=True, help_text="Whether opening a mail and clicking in it may be recorded."
    )
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField("may use the admin", default=False)
    date_joined = models.DateTimeField(default=now, editable=False)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = UserManager()

    class Meta:
        ordering = ["email"]

    def __str__(self) -> str:
        return self.email

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.email = self.email.strip().lower()
        self.email_index = blind_index(self.email, kind="email")
        self.phone_index = blind_index(self.phone, kind="phone") if self.phone else ""
        update_fields = kwargs.get("update_fields")
        if update_fields is not None:
            kwargs["update_fields"] = {*update_fields, "email_index", "phone_index"}
        super().save(*args, **kwargs)

    @property
    def display_name(self) -> str:
        """The name that other people see: never the address when there is a name."""
        full = f"{self.first_name} {self.last_name}".strip()
        return full or self.email.split("@", 1)[0]

    def get_full_name(self) -> str:
        return self.display_name

    def get_short_name(self) -> str:
        return self.first_name or self.display_name
