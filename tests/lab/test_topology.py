"""Who lives where: nothing is left out, nothing is named twice."""

import pytest

from drill import plugins
from drill.lab.topology import EXTRAS, MEMBERS, lay_out

LABS = ["two-regions", *EXTRAS]


@pytest.mark.parametrize("name", LABS)
def test_the_endpoints_known_beforehand_are_those_a_lab_offers(name):
    """Lint, which starts no lab, knows every endpoint by name and no other."""
    layout = lay_out(range(20_000, 30_000), name)

    assert sorted(layout.endpoints("/somewhere")) == sorted(plugins.load("lab", name).endpoints)


def test_every_lab_of_ours_is_installed():
    """What has members of its own can be asked for by name."""
    assert set(LABS) <= set(plugins.installed("lab"))


@pytest.mark.parametrize("name", LABS)
def test_no_port_is_given_twice(name):
    """Members and crossings of one lab never share a port."""
    layout = lay_out(name=name)

    ports = [*layout.own.values(), *(gate.port for gate in layout.gates.values())]

    assert len(set(ports)) == len(ports)


def test_every_member_has_a_port_and_a_name_of_its_own():
    """A member can be named without doubt."""
    for name in LABS:
        layout = lay_out(range(20_000, 30_000), name)
        names = [member.name for member in layout.members]
        assert len(names) == len(set(names))
        assert set(names) <= set(layout.own)
        assert layout.members[: len(MEMBERS)] == MEMBERS
