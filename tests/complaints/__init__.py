"""Complaints of the users of other lock libraries, each as a test of this one.

A docstring names the project and the issue. These tests are short and direct. The folders named
after the parts of the package test the rest.
"""
