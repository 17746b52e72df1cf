"""Benchmarks and the demonstration; nothing here is part of the installed package."""
