"""Responses to the query for a number: those of hosts with the code, and of hostile ones."""

from __future__ import annotations

import pytest

from dcsend.rendezvous import dns_sd
from dcsend.rendezvous.dns_sd import Responders
from tests.support.dns import address, deliver, srv

HOST = "00112233aabbccdd.local"
OTHER = "ffeeddccbbaa9988.local"


def test_response_has_a_port_and_addresses() -> None:
    found = Responders("7")
    deliver(found, srv("7", HOST, 4711), address(HOST, "10.0.0.1"), address(HOST, "fd00::1"))
    assert found.places == [(4711, ["10.0.0.1", "fd00::1"])]
    assert found.reachable.is_set()


def test_address_may_be_before_its_service() -> None:
    found = Responders("7")
    deliver(found, address(HOST, "10.0.0.1"), srv("7", HOST, 4711))
    assert found.places == [(4711, ["10.0.0.1"])]


def test_addresses_may_come_in_a_later_response() -> None:
    found = Responders("7")
    deliver(found, srv("7", HOST, 4711))
    assert found.answered.is_set()
    assert not found.reachable.is_set()
    assert found.unresolved == [f"{HOST}."]
    questions = dns_sd.query("7", found.unresolved, unicast=False).questions
    assert [question.name for question in questions[1:]] == [f"{HOST}."] * 2
    deliver(found, address(HOST, "10.0.0.1"))
    assert found.places == [(4711, ["10.0.0.1"])]
    assert not found.unresolved


def test_two_responders_of_one_number_are_two_places() -> None:
    found = Responders("7")
    deliver(found, srv("7", HOST, 4711), address(HOST, "10.0.0.1"))
    deliver(found, srv("7", OTHER, 4711), address(OTHER, "10.0.0.2"))
    assert found.places == [(4711, ["10.0.0.1"]), (4711, ["10.0.0.2"])]


def test_one_host_with_two_ports_is_two_places() -> None:
    found = Responders("7")
    deliver(found, srv("7", HOST, 1), srv("7", HOST, 2), address(HOST, "10.0.0.1"))
    assert found.places == [(1, ["10.0.0.1"]), (2, ["10.0.0.1"])]


def test_same_response_of_two_interfaces_is_one_place() -> None:
    found = Responders("7")
    for _ in range(2):
        deliver(found, srv("7", HOST, 4711), address(HOST, "10.0.0.1"))
    assert found.places == [(4711, ["10.0.0.1"])]


def test_other_numbers_are_ignored() -> None:
    found = Responders("7")
    deliver(found, srv("77", HOST, 4711), address(HOST, "10.0.0.1"))
    assert not found.answered.is_set()
    assert not found.places


def test_other_announcer_of_the_number_is_not_the_own_announcement() -> None:
    own = Responders("7", only=f"{HOST}.")
    deliver(own, srv("7", OTHER, 4711))
    assert not own.answered.is_set()
    deliver(own, srv("7", HOST, 4711))
    assert own.answered.is_set()


def test_number_that_is_withdrawn_is_no_place() -> None:
    found = Responders("7")
    deliver(found, srv("7", HOST, 4711), address(HOST, "10.0.0.1"))
    deliver(found, srv("7", HOST, 4711, ttl=0))
    assert not found.places


def test_address_that_is_withdrawn_is_left_out() -> None:
    found = Responders("7")
    deliver(found, srv("7", HOST, 4711), address(HOST, "10.0.0.1"), address(HOST, "10.0.0.2"))
    deliver(found, address(HOST, "10.0.0.1", ttl=0))
    assert found.places == [(4711, ["10.0.0.2"])]


def test_record_that_expires_in_the_cache_is_no_response() -> None:
    found = Responders("7")
    deliver(found, srv("7", HOST, 4711), address(HOST, "10.0.0.1"), later=120_001)
    assert not found.answered.is_set()


@pytest.mark.parametrize(
    "host",
    [
        *("0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.251", "240.0.0.1", "255.255.255.255"),
        *("::", "::1", "ff02::fb", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "fe80::1"),
    ],
)
def test_address_that_no_other_machine_can_have_is_ignored(host: str) -> None:
    found = Responders("7")
    deliver(found, srv("7", HOST, 4711), address(HOST, host))
    assert not found.places


def test_loopback_counts_on_a_machine_without_another_address() -> None:
    found = Responders("7", loopback=True)
    deliver(found, srv("7", HOST, 4711), address(HOST, "127.0.0.1"), address(HOST, "::1"))
    assert found.places == [(4711, ["127.0.0.1", "::1"])]


def test_link_local_address_has_the_interface_as_its_scope() -> None:
    found = Responders("7")
    records = (srv("7", HOST, 4711), address(HOST, "fe80::7"), address(HOST, "fd00::7"))
    deliver(found, *records, scope=3)
    assert found.places == [(4711, ["fe80::7%3", "fd00::7"])]


@pytest.mark.parametrize("host", ["router.lan", "local", "a.b.local", "\N{SNOWMAN}.local"])
def test_host_name_of_another_form_is_ignored(host: str) -> None:
    found = Responders("7")
    deliver(found, srv("7", host, 4711), address(host, "10.0.0.1"))
    assert not found.answered.is_set()


def test_port_0_is_ignored() -> None:
    found = Responders("7")
    deliver(found, srv("7", HOST, 0), address(HOST, "10.0.0.1"))
    assert not found.answered.is_set()


def test_eight_places_with_eight_addresses_are_kept() -> None:
    found = Responders("7")
    for number in range(100):
        host = f"{number:016x}.local"
        ports = [srv("7", host, port) for port in range(1, 51)]
        deliver(found, *ports, *(address(host, f"10.0.{number}.{end}") for end in range(50)))
    assert len(found.places) == 8
    assert {len(hosts) for _, hosts in found.places} == {8}
    held = found._found.values()
    assert [(len(one.ports), len(one.hosts)) for one in held] == [(8, 8)] * 8


def test_query_has_one_question_for_each_record_that_is_missing() -> None:
    hosts = [f"{number:016x}.local." for number in range(8)]
    query = dns_sd.query("7", hosts, unicast=True)
    assert len(query.questions) == 17
    assert all(question.unicast for question in query.questions)
    assert len(query.packets()) == 1


def test_host_name_and_number_are_all_that_an_announcement_reveals() -> None:
    info = dns_sd.service("7", "00112233aabbccdd", 4711, ["10.0.0.1"])
    assert info.name == "7._dcsend._tcp.local."
    assert info.server == f"{HOST}."
    assert info.text == b"\0"


@pytest.mark.parametrize("number", ["", "7.local", "-1", "\N{ARABIC-INDIC DIGIT SEVEN}", "1" * 41])
def test_number_is_decimal_digits(number: str) -> None:
    with pytest.raises(ValueError, match="1 to 40 decimal digits"):
        dns_sd.instance(number)
