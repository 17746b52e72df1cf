"""How many messages of each channel have arrived: what is sent again over the next connection.

    {"type":"received","control":12,"data":640,"text":3}     now and then
    {"type":"resume","control":12,"data":655,"text":3}       first on `control` of a next connection
    {"type":"away"}                   last: the peer loses its state, and may connect and begin anew

These are messages of the connection, not of the transfer: they are on the control channel between
those of the transfer, are not counted themselves, and do not reach its state machine. Sans-I/O.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from dcsend.errors import RemoteProtocolError
from dcsend.protocol.limits import MAX_SAFE
from dcsend.protocol.strict import Fields, check_unknown, dump, parse

__all__ = ["AWAY", "Receipt", "encode_receipt", "is_receipt", "read_receipt"]

_NAMES: Final = ("received", "resume")
AWAY: Final = '{"type":"away"}'
"The message of a side that loses its state."
_BEGINS: Final = tuple(f'{{"type":"{name}"' for name in _NAMES)


class Receipt(NamedTuple):
    """Messages that have arrived since the first connection of a transfer, by channel."""

    control: int
    data: int
    text: int


def is_receipt(message: bytes | str) -> bool:
    """Return whether a message of the control channel is one of these, valid or not.

    >>> is_receipt('{"type":"received"}'), is_receipt('{"type":"ack","bytes":1}')
    (True, False)
    """
    return isinstance(message, str) and message.startswith(_BEGINS)


def encode_receipt(receipt: Receipt, *, resumes: bool = False) -> str:
    """Return the message.

    >>> encode_receipt(Receipt(12, 655, 3), resumes=True)
    '{"type":"resume","control":12,"data":655,"text":3}'
    """
    return dump({"type": _NAMES[resumes], **dict(zip(Receipt._fields, receipt, strict=True))})


def read_receipt(message: bytes | str, *, resumes: bool = False) -> Receipt:
    """Read a message; *resumes* is which of the two is expected.

    Raises:
        RemoteProtocolError: it is another message, or not valid.
    """
    name = _NAMES[resumes]
    if not is_receipt(message):
        raise RemoteProtocolError(f"a control message came in place of {name}")
    values = parse(str(message))
    check_unknown(name, values, ("type", *Receipt._fields))
    fields = Fields(name, values)
    fields.choice("type", (name,))
    return Receipt(*(fields.integer(key, 0, MAX_SAFE) for key in Receipt._fields))
