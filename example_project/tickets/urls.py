from __future__ import annotations

from django.urls import path

from . import views

app_name = "tickets"
urlpatterns = [
    path("", views.office, name="office"),
    path("live/", views.live, name="live"),
    path("rush/", views.rush, name="rush"),
    path("mishap/", views.mishap, name="mishap"),
    path("buy/", views.buy, name="buy"),
    path("process/", views.process, name="process"),
]
