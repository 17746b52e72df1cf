"""How two sides find each other: what is said before there is a connection.

Pure: no sockets, no printing. Imports only the standard library, `dcsend.errors` and
`dcsend.printable`; never `protocol`, `files` or `engines`.
"""
