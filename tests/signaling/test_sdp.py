"""Session descriptions as SDP: what browsers, Pion and aiortc write is read; junk is refused."""

from __future__ import annotations

import contextlib

import pytest
from aiortc import RTCPeerConnection
from hypothesis import given
from hypothesis import strategies as st

from dcsend.description import Candidate, CandidateType, Description, SdpType, Setup
from dcsend.errors import MalformedCode
from dcsend.signaling.sdp import MAX_CANDIDATES, MAX_SDP, format_sdp, parse_sdp

FINGERPRINT = bytes(range(32))
COLONS = FINGERPRINT.hex(":").upper()
MDNS = "2f9a1c5e-0b3d-4e6f-8a7b-9c0d1e2f3a4b.local"

CHROMIUM = f"""v=0
o=- 4611731400430051336 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
a=extmap-allow-mixed
a=msid-semantic: WMS
m=application 51472 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 198.51.100.7
a=candidate:1467250027 1 udp 2113937151 {MDNS} 51472 typ host generation 0 network-cost 999
a=candidate:842163049 1 udp 1677729535 198.51.100.7 51472 typ srflx raddr 0.0.0.0 rport 0
a=candidate:1467250027 1 tcp 1518280447 192.168.1.7 9 typ host tcptype active generation 0
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a=ice-options:trickle
a=fingerprint:sha-256 {COLONS}
a=setup:actpass
a=mid:0
a=sctp-port:5000
a=max-message-size:262144
"""

FIREFOX = f"""v=0
o=mozilla...THIS_IS_SDPARTA-99.0 1234 0 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 {COLONS}
a=group:BUNDLE 0
a=ice-options:trickle
a=msid-semantic:WMS *
m=application 40001 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 192.0.2.7
a=candidate:0 1 UDP 2122252543 {MDNS} 40001 typ host
a=candidate:1 1 TCP 2105524479 {MDNS} 9 typ host tcptype active
a=sendrecv
a=end-of-candidates
a=ice-pwd:0123456789abcdef0123456789abcdef
a=ice-ufrag:5f0a3c77
a=mid:0
a=setup:actpass
a=sctp-port:5000
a=max-message-size:1073741823
"""

PION = f"""v=0
o=- 13936590690089073 1795425489 IN IP4 0.0.0.0
s=-
t=0 0
a=fingerprint:sha-256 {COLONS}
a=extmap-allow-mixed
a=group:BUNDLE 0
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=setup:active
a=mid:0
a=sendrecv
a=sctp-port:5000
a=ice-ufrag:toMkjscgpoiZepBH
a=ice-pwd:wHVIgYdnVYtzbMvQHRnbXHTZcDOmAkZP
a=candidate:2070692838 1 udp 2130706431 192.0.2.2 49369 typ host
a=candidate:2070692838 2 udp 2130706431 192.0.2.2 49369 typ host
a=candidate:3932658255 1 udp 2130706431 FD00:0::2 45165 typ host
a=end-of-candidates
"""


def crlf(sdp: str) -> str:
    """End lines as SDP has them."""
    return sdp.replace("\n", "\r\n")


@pytest.mark.parametrize("ending", [crlf, str], ids=["crlf", "lf"])
def test_offer_of_chromium(ending: type[str]) -> None:
    assert parse_sdp(SdpType.OFFER, ending(CHROMIUM)) == Description(
        SdpType.OFFER,
        "EsAw",
        "P2uYro0UCOQ4zxjKXaWCBui1",
        FINGERPRINT,
        Setup.ACTPASS,
        (
            Candidate(CandidateType.HOST, MDNS, 51472, 2113937151),
            Candidate(CandidateType.SERVER_REFLEXIVE, "198.51.100.7", 51472, 1677729535),
        ),
    )


def test_offer_of_firefox() -> None:
    read = parse_sdp(SdpType.OFFER, crlf(FIREFOX))
    assert (read.ufrag, read.password) == ("5f0a3c77", "0123456789abcdef" * 2)
    assert read.fingerprint == FINGERPRINT
    assert [candidate.host for candidate in read.candidates] == [MDNS]
    assert read.max_message_size == 1073741823


def test_answer_of_pion_with_its_default_message_size() -> None:
    read = parse_sdp(SdpType.ANSWER, crlf(PION))
    hosts = [(candidate.host, candidate.port) for candidate in read.candidates]
    assert hosts == [("192.0.2.2", 49369), ("fd00::2", 45165)]
    assert (read.setup, read.max_message_size) == (Setup.ACTIVE, 65536)


async def test_offer_of_aiortc() -> None:
    peer = RTCPeerConnection()
    try:
        peer.createDataChannel("a")
        await peer.setLocalDescription(await peer.createOffer())
        read = parse_sdp(SdpType.OFFER, peer.localDescription.sdp)
        assert read.setup is Setup.ACTPASS
        assert len(read.fingerprint) == 32
        assert read.candidates
    finally:
        await peer.close()


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("a=ice-ufrag:EsAw\n", "", "ice-ufrag"),
        ("a=ice-ufrag:EsAw", "a=ice-ufrag:abc", "ice-ufrag"),
        ("P2uYro0UCOQ4zxjKXaWCBui1", "short", "ice-pwd"),
        ("P2uYro0UCOQ4zxjKXaWCBui1", "P2uYro0UCOQ4zxjKXaW-Bui1", "ice-pwd"),
        ("a=fingerprint", "a=nothing", "fingerprint is missing"),
        (COLONS, COLONS[:-3], "fingerprint is invalid"),
        ("sha-256", "sha-1", "fingerprint is invalid"),
        ("a=setup:actpass", "a=setup:holdconn", "setup"),
        ("a=mid:0", "a=mid:" + "x" * 65, "mid"),
        ("a=max-message-size:262144", "a=max-message-size:many", "max-message-size"),
        ("a=sctp-port:5000", "a=sctp-port:5001", "5001"),
        ("m=application", "m=audio 9 UDP/TLS/RTP/SAVPF 111\nm=application", "audio"),
        ("m=application", "m=audio", "audio"),
        ("v=0\n", "", "no SDP"),
        ("m=application 51472", "m=application 0", "no data channel"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, named: str) -> None:
    assert old in CHROMIUM
    with pytest.raises(MalformedCode, match=named) as refused:
        parse_sdp(SdpType.OFFER, CHROMIUM.replace(old, new))
    assert refused.value.hint


def test_answer_must_have_a_role_of_dtls() -> None:
    with pytest.raises(MalformedCode, match="actpass"):
        parse_sdp(SdpType.ANSWER, CHROMIUM)


def test_refused_audio_does_no_harm_and_old_ports_are_read() -> None:
    sdp = CHROMIUM.replace("m=application", "m=audio 0 UDP/TLS/RTP/SAVPF 111\nm=application")
    assert parse_sdp(SdpType.OFFER, sdp).ufrag == "EsAw"
    old = CHROMIUM.replace("a=sctp-port:5000", "a=sctpmap:5000 webrtc-datachannel 1024").replace(
        "UDP/DTLS/SCTP webrtc-datachannel", "DTLS/SCTP 5000"
    )
    assert parse_sdp(SdpType.OFFER, old).ufrag == "EsAw"
    with pytest.raises(MalformedCode, match="5001"):
        parse_sdp(SdpType.OFFER, old.replace("SCTP 5000", "SCTP 5001"))


@pytest.mark.parametrize(
    "candidate",
    [
        "1 1 udp 1 192.0.2.1 0 typ host",
        "1 1 udp 1 192.0.2.1 65536 typ host",
        "1 1 udp 0 192.0.2.1 5 typ host",
        "1 1 udp 1 224.0.0.1 5 typ host",
        "1 1 udp 1 0.0.0.0 5 typ host",
        "1 1 udp 1 fe80::1%eth0 5 typ host",
        "1 1 udp 1 example.org 5 typ host",
        "1 1 udp 1 192.0.2.1 5 typ odd",
        "1 2 udp 1 192.0.2.1 5 typ host",
        "1 1 tcp 1 192.0.2.1 5 typ host",
        "1 1 udp",
        "",
    ],
)
def test_candidate_that_can_not_be_used_is_passed_over(candidate: str) -> None:
    sdp = PION.replace("a=end-of-candidates", f"a=candidate:{candidate}")
    assert len(parse_sdp(SdpType.ANSWER, sdp).candidates) == 2


def test_candidate_that_is_named_twice_is_one() -> None:
    again = PION[PION.index("a=candidate") :]
    assert len(parse_sdp(SdpType.ANSWER, PION + again).candidates) == 2


def test_message_size_beyond_what_json_can_express_is_bounded() -> None:
    sdp = CHROMIUM.replace("a=max-message-size:262144", "a=max-message-size:" + "9" * 19)
    assert parse_sdp(SdpType.OFFER, sdp).max_message_size == 2**53


def test_password_is_in_no_representation_and_the_related_address_in_no_sdp() -> None:
    read = parse_sdp(SdpType.OFFER, CHROMIUM)
    assert read.password not in repr(read)
    (line,) = (line for line in format_sdp(read).splitlines() if " typ srflx" in line)
    assert line.endswith("198.51.100.7 51472 typ srflx raddr 0.0.0.0 rport 9")


def test_a_flood_costs_little() -> None:
    lines = "".join(f"a=candidate:1 1 udp 1 192.0.2.1 {n} typ host\n" for n in range(1, 900))
    assert len(parse_sdp(SdpType.ANSWER, PION + lines).candidates) == MAX_CANDIDATES
    with pytest.raises(MalformedCode, match="characters"):
        parse_sdp(SdpType.ANSWER, "a" * (MAX_SDP + 1))


@pytest.mark.parametrize("sdp", [CHROMIUM, FIREFOX], ids=["chromium", "firefox"])
def test_what_is_written_is_read_back(sdp: str) -> None:
    read = parse_sdp(SdpType.OFFER, sdp)
    assert parse_sdp(SdpType.OFFER, format_sdp(read)) == read


@given(st.text(), st.sampled_from(SdpType))
def test_any_text_is_read_or_refused(text: str, kind: SdpType) -> None:
    for sdp in (text, CHROMIUM + text, CHROMIUM.replace("EsAw", text), PION.replace("9", text)):
        with contextlib.suppress(MalformedCode):
            parse_sdp(kind, sdp)
