"""Codes: the texts that users carry from one side to the other before there is a connection.

Pure functions: no sockets, no output. Imports only the standard library and leaves; never
`protocol`, `files` or `peers`.
"""
