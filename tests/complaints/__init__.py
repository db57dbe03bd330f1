"""What the users of other lock libraries have complained of, each against the real thing.

A docstring names the project and the issue. These tests are short and direct; what else can happen
is tested in the room that it belongs to.
"""
