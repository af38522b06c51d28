"""An administrator makes and revokes workers' users, and no other user is touched."""

from __future__ import annotations

from typing import Iterator

import pytest

from hyperhive.store.errors import BadAddress, LoginRefused, NameTaken, NotAllowed, NotFound
from hyperhive.store.server.client import with_login
from hyperhive.store.server.privileges import WORKER
from hyperhive.store.server.roles import role_name
from hyperhive.store.store import Store


@pytest.fixture
def admin(admin_uri: str) -> Iterator[Store]:
    """Give a database of its own for these users, as the server's administrator."""
    with Store(admin_uri.replace("/hyperhive?", "/fleet?")) as admin:
        yield admin
        admin.client.fleet.command("dropAllUsersFromDatabase")
        admin.client.fleet.command("dropAllRolesFromDatabase")


def knows(admin: Store, name: str, password: str) -> bool:
    """Return whether the server accepts this login."""
    with Store(f"mongodb://{name}:{password}@{admin.address}") as device:
        try:
            device.ping()
        except LoginRefused:
            return False
    return True


def test_an_invitation_can_be_renewed(admin: Store) -> None:
    """A second invitation makes another password and revokes the first; other users keep theirs."""
    other = admin.roles.invite("mac")
    first = admin.roles.invite("nano")
    second = admin.roles.invite("nano")
    assert not knows(admin, "nano", first)
    assert knows(admin, "nano", second)
    assert knows(admin, "mac", other)
    admin.roles.revoke("mac")
    assert not knows(admin, "mac", other)
    assert knows(admin, "nano", second)


def test_an_invitation_brings_the_role_up_to_date(admin: Store) -> None:
    """A role that an older hyperhive made, or somebody changed, is corrected."""
    admin.roles.invite("nano")
    fleet = admin.client.fleet
    made = fleet.command("rolesInfo", role_name(WORKER), showPrivileges=True)["roles"]
    fleet.command("updateRole", role_name(WORKER), privileges=[], roles=["dbOwner"])
    admin.roles.invite("mac")
    assert fleet.command("rolesInfo", role_name(WORKER), showPrivileges=True)["roles"] == made


def test_users_with_other_roles_are_left_alone(admin: Store) -> None:
    """A user with another role, or without one, can neither be invited nor revoked."""
    admin.client.fleet.command("createUser", "hyperhive", pwd="p", roles=["readWrite"])
    admin.client.fleet.command("createUser", "guest", pwd="p", roles=[])
    for name in ("hyperhive", "guest"):
        with pytest.raises(NameTaken, match="choose another name"):
            admin.roles.invite(name)
        with pytest.raises(NotFound, match=name):
            admin.roles.revoke(name)
    assert knows(admin, "hyperhive", "p")
    with pytest.raises(NotFound):
        admin.roles.revoke("nobody")


def test_only_an_administrator_invites(store: Store) -> None:
    """The everyday user is refused."""
    with pytest.raises(NotAllowed, match="may not do that"):
        store.roles.invite("nano")


def test_no_worker_is_made_among_the_administrators(admin_uri: str) -> None:
    """The database of the administrators is refused, with an example of the right address."""
    with Store(admin_uri.replace("/hyperhive?", "/admin?")) as admin:
        for ask in (admin.roles.invite, admin.roles.revoke):
            with pytest.raises(BadAddress, match="is not hyperhive's database"):
                ask("nano")


@pytest.mark.parametrize(
    ("uri", "device"),
    [
        ("mongodb://root:r@h:1/hyperhive?authSource=admin", "mongodb://n:p@h:1/hyperhive"),
        ("mongodb://root:r@h", "mongodb://n:p@h/hyperhive"),
        ("mongodb://h:1,i:2/db?replicaSet=r&w=1", "mongodb://n:p@h:1,i:2/db?replicaSet=r"),
        (
            "mongodb+srv://root:r@h.org/?tls=true&tlsCertificateKeyFilePassword=r",
            "mongodb+srv://n:p@h.org/hyperhive?tls=true",
        ),
        (
            "mongodb://root:r@h/x?tls=true&authMechanism=PLAIN&tlsCAFile=/ca.pem",
            "mongodb://n:p@h/x?tls=true&tlsCAFile=/ca.pem",
        ),
    ],
)
def test_a_device_gets_the_server_and_nothing_of_the_administrators(uri: str, device: str) -> None:
    """Hosts, database and TLS are kept; the administrator's login and options are not."""
    assert with_login(uri, "n", "p") == device


def test_a_user_that_the_server_no_longer_finds_is_a_refused_login(admin: Store) -> None:
    """The server answers so for a login that is revoked just while it looks it up."""
    with pytest.raises(LoginRefused), admin.guard():
        admin.database.command("updateUser", "nano", pwd="another")
