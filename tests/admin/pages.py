"""Pages of the admin: their contents, and clients with permissions."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from django.contrib.auth.models import Permission, User
from django.test import Client

PAGE = "/admin/django_redislock/lock/"
RELEASE = f"{PAGE}release/"


def page(client: Client, path: str = PAGE, **query: Any) -> str:
    response = client.get(path, query)
    assert response.status_code == 200
    return response.content.decode()


def rows(html: str) -> list[list[str]]:
    """The cells of each row of the table, as text, without the checkbox."""
    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    cells = (re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL) for row in body.split("</tr>")[:-1])
    return [
        [text_of(cell) for cell in row if 'class="action-checkbox"' not in cell] for row in cells
    ]


def text_of(html: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", html).split())


def names(html: str) -> list[str]:
    return [row[0] for row in rows(html) if row]


def references(html: str) -> list[str]:
    """The references to holds that the forms of a page send."""
    found = re.findall(r'<input type="(?:checkbox|hidden)" name="hold" value="([^"]*)"', html)
    return [unescape(value) for value in found]


def release(client: Client, html: str, **data: Any) -> str:
    """Confirm the release that the page offers, and return the text of the answer."""
    data = {"hold": references(html), "confirmed": "yes", "reason": "", **data}
    return text_of(client.post(RELEASE, data, follow=True).content.decode())


def client_of(*codenames: str, username: str = "bob", **fields: Any) -> Client:
    """A client of a new user who has these permissions of ours."""
    user = User.objects.create_user(username, **{"is_staff": True, **fields})
    for codename in codenames:
        user.user_permissions.add(
            Permission.objects.get(content_type__app_label="django_redislock", codename=codename)
        )
    client = Client()
    client.force_login(user)
    return client
