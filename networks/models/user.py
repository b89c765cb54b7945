"""People and tokens, with their roles."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models

from .choices import Role
from .document import Document


class User(AbstractUser):
    """Somebody who signs in."""

    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    preferences = Document(default=dict, blank=True)
    """What the console remembers for the person: theme, topology positions, table columns."""


class ApiToken(models.Model):
    """A bearer token for scripts. The token itself is shown once; only a hash is kept.

    The secret has 256 random bits, so a plain SHA-256 is enough: there is nothing to guess.
    """

    name = models.CharField(max_length=64)
    prefix = models.CharField(max_length=12, help_text="The first characters, to recognise a token by.")
    digest = models.CharField(max_length=64, unique=True)
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.OPERATOR)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="one_token_name_per_user")]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
