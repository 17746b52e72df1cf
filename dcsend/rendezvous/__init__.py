"""Rendezvous: how two sides that share a short code exchange messages before they are connected.

Imports leaves, `net` and `signaling`; never `peers`, `session`, `serving`, `protocol` or `files`.
aiohttp and zeroconf are imported late.
"""
