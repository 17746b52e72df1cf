"""The page for browsers: find it, serve it, write it to a file.

Imports leaves and aiohttp only; knows no code, no secret, no transfer. What a browser puts behind
`#` never comes here.
"""
