"""Tests of dcsend.peers."""
