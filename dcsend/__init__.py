"""dcsend: send files directly between terminals and browsers over WebRTC data channels.

    done = await dcsend.receive(code, output="downloads")

The public API is what `__all__` lists; everything else may change.
"""

# isort: off
# Before every other import, so that no module is loaded from the current folder.
import dcsend.importing
import dcsend.starting  # noqa: F401

# isort: on
from dcsend._version import __version__
from dcsend.api import chat, invite, offer, receive, send
from dcsend.chat.events import (
    ChannelAnnounced,
    ChannelClosed,
    ChannelOpened,
    ChatEvent,
    MessageExchanged,
    StateChanged,
)
from dcsend.chat.settings import ChatSettings
from dcsend.entry import Chosen, Entry, Existing, Kind, LeftOut
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
    PeerCannotSave,
    PeerDryRun,
    PeerRefused,
    RemoteProtocolError,
    SourceError,
    TimedOut,
    UsageError,
)
from dcsend.session.events import (
    Arrived,
    Checking,
    CodeReady,
    Connected,
    Damaged,
    DescriptionReady,
    Disconnected,
    Failed,
    FileFinished,
    Finished,
    Left,
    Limited,
    Link,
    ManifestKnown,
    OfPeer,
    OfReceiver,
    OfSender,
    PeerCounts,
    PeerFinished,
    Planned,
    Progressed,
    ReceiverFinished,
    Reconnected,
    SenderFinished,
    ShortCodeOver,
    ShortCodeReady,
    ShortCodeServer,
    ShortCodeUsed,
    TextExchanged,
    Warned,
)
from dcsend.session.events import Event as TransferEvent
from dcsend.session.limiting import RateLimit
from dcsend.session.published import Published
from dcsend.settings import Deadlines, Settings, Signal

__all__ = [
    "Arrived",
    "AuthenticationFailed",
    "ChannelAnnounced",
    "ChannelClosed",
    "ChannelOpened",
    "ChatSettings",
    "Checking",
    "Chosen",
    "CodeExpired",
    "CodeReady",
    "CodeUsed",
    "Connected",
    "ConnectionFailed",
    "Damaged",
    "DcsendError",
    "Deadlines",
    "DescriptionReady",
    "DestinationError",
    "Disconnected",
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
    "LeftOut",
    "Limited",
    "Link",
    "LocalProtocolError",
    "MalformedCode",
    "ManifestKnown",
    "MessageExchanged",
    "OfPeer",
    "OfReceiver",
    "OfSender",
    "PartlyDone",
    "PeerCannotSave",
    "PeerCounts",
    "PeerDryRun",
    "PeerFinished",
    "PeerRefused",
    "Planned",
    "Progressed",
    "Published",
    "RateLimit",
    "ReceiverFinished",
    "Reconnected",
    "RemoteProtocolError",
    "SenderFinished",
    "Settings",
    "ShortCodeOver",
    "ShortCodeReady",
    "ShortCodeServer",
    "ShortCodeUsed",
    "Signal",
    "SourceError",
    "StateChanged",
    "TextExchanged",
    "TimedOut",
    "UsageError",
    "Warned",
    "__version__",
    "chat",
    "invite",
    "offer",
    "receive",
    "send",
]

Event = TransferEvent | ChatEvent
