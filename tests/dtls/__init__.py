"""Tests of dcsend.dtls."""
