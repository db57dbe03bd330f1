from __future__ import annotations

from django.urls import path

from . import views

app_name = "tickets"
urlpatterns = [
    path("", views.office, name="office"),
    path("stock/", views.stock, name="stock"),
    path("buy/", views.buy, name="buy"),
    path("process/", views.process, name="process"),
    path("restock/", views.restock, name="restock"),
]
