"""Types of decorated functions and views; only type-checked."""

from collections.abc import AsyncIterator, Generator
from typing import Any

from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.views.generic import TemplateView, View
from typing_extensions import assert_type

from django_redislock import LockedViewMixin, locked_view
from django_redislock.asgi import release_locks_at_shutdown
from django_redislock.exceptions import LockNotAcquired
from django_redislock.functions.decorator import locked


@locked("a:{x}")
def f(x: int, *, y: str = "") -> str:
    return ""


@locked("a:{x}", on_busy="skip", wait=0)
def g(x: int) -> str:
    return ""


@locked("a:{x}", on_busy="skip", default=3)
def h(x: int) -> str:
    return ""


@locked("a:{x}", on_busy="skip")
async def i(x: int) -> str:
    return ""


@locked("a:{x}", on_busy="retry")
def later(x: int) -> str:
    return ""


async def other(error: LockNotAcquired, x: int) -> bytes:
    return b""


@locked("a:{x}", on_busy=other)
async def j(x: int) -> str:
    return ""


@locked("a:{x}", on_busy=lambda error, x: 1.0)
def k(x: int) -> str:
    return ""


@locked("a:{x}")
def gen(x: int) -> Generator[int, str, bytes]:
    yield 1
    return b""


@locked("a:{x}", min_hold=5, label=lambda x: "l")
async def agen(x: int) -> AsyncIterator[int]:
    yield 1


class C:
    @locked("c:{self.x}")
    def m(self, a: int) -> str:
        return ""

    @classmethod
    @locked("c:{a}")
    def c(cls, a: int) -> str:
        return ""

    @staticmethod
    @locked("c:{a}")
    def s(a: int) -> str:
        return ""


class V(LockedViewMixin, View):
    lock_name = "a"


class W(LockedViewMixin, View):
    def lock_name(self, request: HttpRequest, *args: object, **kwargs: object) -> str:
        return "a"

    def lock_on_busy(self, request: HttpRequest, error: LockNotAcquired) -> HttpResponse:
        return HttpResponse()


class Page(LockedViewMixin, TemplateView):  # any view of Django's, whatever it answers
    lock_name = "a"


class Function:
    def __call__(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse()


class OtherView(View):  # as the stubs of Django REST Framework have it
    @classmethod
    def as_view(cls: Any, **initkwargs: Any) -> Function:
        return Function()


class Api(LockedViewMixin, OtherView):
    lock_name = "a"


application = release_locks_at_shutdown(get_asgi_application())


@locked_view("x")
async def v(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


async def t(r: HttpRequest) -> None:
    assert_type(f(1, y="b"), str)
    assert_type(g(1), str | None)
    assert_type(h(1), str | int)
    assert_type(later(1), str)
    assert_type(await i(1), str | None)
    assert_type(await j(1), str | bytes)
    assert_type(k(1), str | float)
    assert_type(gen(1), Generator[int, str, bytes])
    assert_type(agen(1), AsyncIterator[int])
    assert_type(C().m(1), str)
    assert_type(C.c(1), str)
    assert_type(C.s(1), str)
    assert_type(await v(r), HttpResponse)


def answer(request: HttpRequest, error: LockNotAcquired) -> HttpResponse:
    return HttpResponse(error.name)


def swapped(error: LockNotAcquired, request: HttpRequest) -> HttpResponse:
    return HttpResponse(error.name)


def mistakes() -> None:
    # Each ignored error is wanted: mypy reports an ignore that is not used.
    locked(f)(1)  # type: ignore[arg-type]
    locked(lambda x: 7)  # type: ignore[arg-type, return-value]
    locked_view(lambda request: HttpResponse())  # type: ignore[arg-type, return-value]
    locked_view("x", on_busy=answer)
    locked_view("x", on_busy=lambda request, error: HttpResponse(error.name))
    locked_view("x", on_busy=swapped)  # type: ignore[arg-type]
    locked_view("x", on_busy=lambda error: HttpResponse())  # type: ignore[arg-type, misc]
