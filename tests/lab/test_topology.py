"""Who lives where: nothing is left out, nothing is named twice."""

from drill.lab.topology import MEMBERS, lay_out
from drill.lab.two_regions import ENDPOINTS


def test_the_endpoints_known_beforehand_are_those_a_lab_offers():
    """Lint, which starts no lab, knows every endpoint by name and no other."""
    layout = lay_out(range(20_000, 30_000))

    assert sorted(layout.endpoints("/somewhere")) == sorted(ENDPOINTS)


def test_no_port_is_given_twice():
    """Members and crossings of one lab never share a port."""
    layout = lay_out()

    ports = [*layout.own.values(), *(gate.port for gate in layout.gates.values())]

    assert len(set(ports)) == len(ports)


def test_every_member_has_a_port_and_a_name_of_its_own():
    """A member can be named without doubt."""
    assert sorted(member.name for member in MEMBERS) == sorted({member.name for member in MEMBERS})
    assert {member.name for member in MEMBERS} <= set(lay_out(range(20_000, 30_000)).own)
