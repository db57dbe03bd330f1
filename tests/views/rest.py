"""Authentication and renderer of a project that uses REST framework."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from rest_framework import authentication, renderers


class Header(authentication.BaseAuthentication):
    """A request is authenticated as the user whose id is in its header."""

    def authenticate(self, request: Any) -> tuple[User, None] | None:
        pk = request.headers.get("X-User")
        return (User(pk=int(pk)), None) if pk else None

    def authenticate_header(self, request: Any) -> str:
        return "Header"


class Shouting(renderers.JSONRenderer):
    media_type = "text/shouting"
    format = "shouting"

    def render(self, *args: Any, **kwargs: Any) -> bytes:
        rendered: bytes = super().render(*args, **kwargs)
        return rendered.upper()
