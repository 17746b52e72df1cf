"""Tests of dcsend; `make test` runs them all."""
