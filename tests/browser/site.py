"""Site with a strict Content-Security-Policy, and a browser that visits it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.contrib.staticfiles.testing import StaticLiveServerTestCase
from django.core.servers.basehttp import ThreadedWSGIServer
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.test.testcases import LiveServerThread
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.browser.waits import DEADLINE, until

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE = "/admin/django_redislock/lock/"
PASSWORD = "open sesame"

# With REDISLOCK_PICTURES=docs/images, a run keeps a picture of each scene.
PICTURES = os.environ.get("REDISLOCK_PICTURES")


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    return respond


class Server(ThreadedWSGIServer):
    """A server that closes the connections that the browser keeps open."""

    daemon_threads = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        for request in list(self._open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
        super().server_close()  # waits for the threads


class ServerThread(LiveServerThread):
    server_class = Server


@override_settings(
    MIDDLEWARE=[
        "tests.browser.site.content_security_policy",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.locale.LocaleMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ]
)
@pytest.mark.timeout(240)
class BrowserTestCase(StaticLiveServerTestCase):
    """``self.browser`` is the browser; its console must stay empty."""

    browser: Chrome
    server_thread_class = ServerThread

    @pytest.fixture(autouse=True)
    def _use(self, browser: Chrome) -> None:
        self.browser = browser

    def setUp(self) -> None:
        self.admin = User.objects.create_superuser("admin", password=PASSWORD)
        self.browser.get_log("browser")
        self.addCleanup(self._leave)

    def _leave(self) -> None:
        # A page that stays open would send requests to the next test's server.
        complaints = self.browser.get_log("browser")
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        self.browser.delete_all_cookies()
        self.browser.get("about:blank")
        self.browser.set_window_size(1440, 900)
        messages = [one["message"] for one in complaints if self.is_complaint(one["message"])]
        assert messages == [], messages

    def is_complaint(self, message: str) -> bool:
        return "favicon" not in message

    def viewer(self) -> str:
        user = User.objects.create_user("viewer", password=PASSWORD, is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="view_lock"))
        return user.get_username()

    def log_in(self, username: str = "admin", path: str = PAGE) -> None:
        """Visit the page with the cookie that the login page of Django, not ours, would give."""
        client = Client()
        client.force_login(User.objects.get_by_natural_key(username))
        name = settings.SESSION_COOKIE_NAME
        cookie = {"name": name, "value": client.cookies[name].value, "url": self.live_server_url}
        self.browser.execute_cdp_cmd("Network.setCookie", cookie)
        self.visit(path)
        self.until(lambda: self.browser.find_elements(By.ID, "user-tools"))

    def visit(self, path: str) -> None:
        self.browser.get(f"{self.live_server_url}{path}")

    def visit_name(self, alias: str, name: str) -> None:
        self.visit(f"{PAGE}{quote(f'{alias}_3A{name}')}/change/")

    def one(self, css: str) -> Any:
        """The first such element, on this page or on the one that a click is loading."""
        return self.until(lambda: self.browser.find_element(By.CSS_SELECTOR, css))

    def text(self, css: str = "#content") -> str:
        """The visible text, read in one step, since the page may change at any time."""
        script = "return document.querySelector(arguments[0])?.innerText ?? ''"
        return str(self.browser.execute_script(script, css))

    def until(self, condition: Callable[[], Any], within: float = DEADLINE) -> Any:
        return until(self.browser, condition, within)

    def mark(self) -> None:
        """Mark the page, so that a reload can be noticed."""
        self.browser.execute_script("window.notReloaded = true")

    @property
    def was_reloaded(self) -> bool:
        return not self.browser.execute_script("return window.notReloaded === true")

    def picture(self, name: str) -> None:
        if PICTURES:
            self.browser.save_screenshot(str(Path(PICTURES) / f"{name}.png"))
