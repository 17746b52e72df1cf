"""The page for browsers: locating it, serving it over HTTP, writing it to a file.

Owns the TCP port of the page. Imports leaf modules and aiohttp only. It handles no code and no
secret: browsers do not send the fragment of a link (after `#`) to the server.
"""
