"""Tests of whole programs: real processes, files and networks."""
