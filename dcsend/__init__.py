"""dcsend: send files directly between terminals and browsers over WebRTC data channels.

    done = await dcsend.receive(code, output="downloads")

The public API is what `__all__` lists; everything else may change.
"""

# isort: off
# Before every other import, so that none comes out of the current folder.
import dcsend.importing  # noqa: F401

# isort: on
from dcsend._version import __version__
from dcsend.api import chat, receive, send
from dcsend.entry import Entry, Existing, Kind
from dcsend.errors import (
    AuthenticationFailed,
    CodeExpired,
    CodeUsed,
    ConnectionFailed,
    DcsendError,
    DestinationError,
    IncompatibleVersion,
    IncompleteCode,
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
    Arrived,
    ChannelAnnounced,
    ChannelClosed,
    ChannelOpened,
    CodeReady,
    Connected,
    DescriptionReady,
    Event,
    Failed,
    FileFinished,
    Finished,
    Left,
    Link,
    ManifestKnown,
    MessageExchanged,
    Progressed,
    StateChanged,
    TextExchanged,
    Warned,
)
from dcsend.settings import ChatSettings, Settings, Signal

__all__ = [
    "Arrived",
    "AuthenticationFailed",
    "ChannelAnnounced",
    "ChannelClosed",
    "ChannelOpened",
    "ChatSettings",
    "CodeExpired",
    "CodeReady",
    "CodeUsed",
    "Connected",
    "ConnectionFailed",
    "DcsendError",
    "DescriptionReady",
    "DestinationError",
    "Entry",
    "Event",
    "Existing",
    "Failed",
    "FileFinished",
    "Finished",
    "IncompatibleVersion",
    "IncompleteCode",
    "IntegrityError",
    "Interrupted",
    "Kind",
    "Left",
    "Link",
    "LocalProtocolError",
    "MalformedCode",
    "ManifestKnown",
    "MessageExchanged",
    "PartlyDone",
    "PeerRefused",
    "Progressed",
    "RemoteProtocolError",
    "Settings",
    "Signal",
    "SourceError",
    "StateChanged",
    "TextExchanged",
    "TimedOut",
    "UsageError",
    "Warned",
    "__version__",
    "chat",
    "receive",
    "send",
]
