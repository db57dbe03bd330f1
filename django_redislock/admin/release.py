"""Release by force: first a page that lists the holds to be released, then the release itself."""

from __future__ import annotations

from collections.abc import Hashable

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import PAGE_VAR
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _, gettext_lazy, ngettext

from ..exceptions import LockUnavailable
from ..handler import lock_backends
from ..operations.audit import release_and_record
from ..operations.formatting import and_more, quoted
from ..operations.selection import Found
from .base import BaseLockAdmin
from .live import LiveLocks
from .references import Reference, address_of, find_all
from .rows import Row

__all__ = ["ReleaseView"]

HOLD, ALL_FOUND, BACK, CONFIRMED = "hold", "all_found", "back", "confirmed"

# How many names of each kind are listed after a release.
NAMED = 10


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        help_text=gettext_lazy("Recorded in the history with your name."),
        max_length=500,
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField", "autocomplete": "off"}),
    )


class ReleaseView:
    """One request. The field ``hold`` has the references that the previous page submitted."""

    def __init__(self, model_admin: BaseLockAdmin, request: HttpRequest) -> None:
        self.model_admin = model_admin
        self.request = request
        self.references = self._chosen()
        self.seen: list[tuple[Reference, Found]] = []
        self.changed: list[Reference] = []
        self.unknown: list[tuple[Reference, Exception | str]] = []

    def _chosen(self) -> list[Reference]:
        if ALL_FOUND not in self.request.POST:
            return Reference.read_all(self.request.POST.getlist(HOLD))
        query = self._query().copy()
        query.pop(PAGE_VAR, None)  # that number refers to pages of another length
        found = LiveLocks(self.model_admin, query, self.model_admin.release_at_once).found
        return list(map(Reference.to, found))

    def respond(self) -> HttpResponse:
        # A user who had to log in again arrives by GET, without the submitted form.
        if self.request.method != "POST":
            return HttpResponseRedirect(self._back())
        if not self.references:
            messages.warning(self.request, _("Select the locks to release first."))
            return HttpResponseRedirect(self._back())
        self._look()
        form = ReasonForm(self.request.POST if CONFIRMED in self.request.POST else None)
        if self.seen and not form.is_valid():
            return self._ask(form)
        if self.seen:
            self._release(form.cleaned_data["reason"])
        self._report_changed()
        self._report_unknown()
        return HttpResponseRedirect(self._back())

    def _look(self) -> None:
        live, silent = find_all(self.references)
        errors = {one.alias: one.error for one in silent}
        for reference in self.references:
            if found := live.get(reference):
                self.seen.append((reference, found))
            elif reference.alias in errors:
                self.unknown.append((reference, errors[reference.alias]))
            else:
                self.changed.append(reference)

    def _ask(self, form: ReasonForm) -> TemplateResponse:
        context = {
            "title": _("Release by force"),
            "form": form,
            "rows": [Row(found) for _reference, found in self.seen],
            "changed": self.changed,
            "unknown": self.unknown,
            "several_backends": len(list(lock_backends)) > 1,
            "back": self._back(),
            "back_value": self.request.POST.get(BACK, ""),
        }
        return self.model_admin.render(self.request, self.model_admin.release_template, context)

    def _release(self, reason: str) -> None:
        released = 0
        down: dict[Hashable, LockUnavailable] = {}
        for place, (reference, found) in enumerate(self.seen):
            server = reference.alias, lock_backends[reference.alias].node_of(reference.name)
            if server in down:
                # Each question to a server that hangs may take a time-out.
                self.unknown.append((reference, down[server]))
                continue
            try:
                done = release_and_record(
                    found,
                    user=self.request.user,
                    address=address_of(reference.alias, reference.name),
                    reason=reason,
                )
            except LockUnavailable as error:
                down[server] = error
                self.unknown.append((reference, error))
                continue
            except DatabaseError as error:
                # Those that follow could not be recorded either, so they are not released.
                text = _("The release cannot be recorded: %(error)s") % {"error": error}
                self.unknown += [(one, text) for one, _found in self.seen[place:]]
                break
            released += done
            if not done:
                self.changed.append(reference)
        if released:
            text = ngettext(
                "%(count)d lock was released by force.",
                "%(count)d locks were released by force.",
                released,
            )
            messages.success(self.request, text % {"count": released})

    def _report_changed(self) -> None:
        if not self.changed:
            return
        names = [quoted(one.readable) for one in self.changed[:NAMED]]
        if len(self.changed) > NAMED:
            names.append("…")
        text = ngettext(
            "%(count)d hold had ended or changed since it was shown, and was left alone: %(names)s",
            "%(count)d holds had ended or changed since they were shown, and were left alone: "
            "%(names)s",
            len(self.changed),
        )
        values = {"count": len(self.changed), "names": ", ".join(names)}
        messages.warning(self.request, text % values)

    def _report_unknown(self) -> None:
        for reference, error in self.unknown[:NAMED]:
            text = _("“%(name)s” may still be held: %(error)s")
            messages.error(self.request, text % {"name": reference.readable, "error": error})
        if more := and_more(len(self.unknown) - NAMED):
            messages.error(self.request, more)

    def _back(self) -> str:
        """Return the URL of the name's page, or of the list as it was filtered and sorted."""
        back = self.request.POST.get(BACK, "")
        site = self.model_admin.admin_site.name
        if back == "detail" and self.references:
            one = self.references[0]
            address = quote(address_of(one.alias, one.name))
            return reverse(f"{site}:django_redislock_lock_change", args=[address])
        page = reverse(f"{site}:django_redislock_lock_changelist")
        return f"{page}?{self._query().urlencode()}".rstrip("?")

    def _query(self) -> QueryDict:
        """Return the list's filters and order. A forged value can only change parameters."""
        return QueryDict(self.request.POST.get(BACK, "").lstrip("?"))
