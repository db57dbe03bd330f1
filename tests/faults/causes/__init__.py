"""Causes of trouble: one class a fault, one module for what they befall."""
