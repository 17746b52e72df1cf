"""Everything a person sees or types: the only layer that prints or reads a terminal.

Imports of dcsend only `errors` and `printable`; nothing but `cli` imports it.
"""
