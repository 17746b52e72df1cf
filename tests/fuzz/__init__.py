"""Fuzzing of parsers and associations; see CONTRIBUTING.md."""
