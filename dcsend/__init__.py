"""dcsend: send files directly between terminals and browsers over WebRTC data channels.

    done = await dcsend.receive(code, output="downloads")

The public API is what `__all__` lists; everything else may change.
"""

from dcsend._version import __version__
from dcsend.api import receive, send
from dcsend.entry import Entry, Existing, Kind
from dcsend.errors import (
    AuthenticationFailed,
    CodeExpired,
    CodeUsed,
    ConnectionFailed,
    DcsendError,
    DestinationError,
    IncompatibleVersion,
    IntegrityError,
    Interrupted,
    LocalProtocolError,
    MalformedCode,
    PartlyDone,
    PeerRefused,
    RemoteProtocolError,
    SourceError,
    TimedOut,
    UsageError,
)
from dcsend.session.events import (
    CodeReady,
    Connected,
    Event,
    Failed,
    FileFinished,
    Finished,
    ManifestKnown,
    Progressed,
    TextExchanged,
    Warned,
)
from dcsend.settings import Settings

__all__ = [
    "AuthenticationFailed",
    "CodeExpired",
    "CodeReady",
    "CodeUsed",
    "Connected",
    "ConnectionFailed",
    "DcsendError",
    "DestinationError",
    "Entry",
    "Event",
    "Existing",
    "Failed",
    "FileFinished",
    "Finished",
    "IncompatibleVersion",
    "IntegrityError",
    "Interrupted",
    "Kind",
    "LocalProtocolError",
    "MalformedCode",
    "ManifestKnown",
    "PartlyDone",
    "PeerRefused",
    "Progressed",
    "RemoteProtocolError",
    "Settings",
    "SourceError",
    "TextExchanged",
    "TimedOut",
    "UsageError",
    "Warned",
    "__version__",
    "receive",
    "send",
]
