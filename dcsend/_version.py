"""The version, in one place; a leaf."""

__version__ = "0.1.0"
