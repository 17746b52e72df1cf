"""Tests of dcsend.signaling."""
