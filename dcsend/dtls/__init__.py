"""DTLS: the certificate of a run, and a transport that handles many packets at a time.

`transport` uses private names of aiortc and pyOpenSSL. It is imported only for a connection.
"""
