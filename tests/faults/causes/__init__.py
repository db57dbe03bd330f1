"""Causes of trouble: one class per fault, in modules by the part that is affected."""
