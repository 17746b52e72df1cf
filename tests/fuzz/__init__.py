"""Fuzzing: what a program invents for parsers and associations; see CONTRIBUTING.md."""
