"""What is wrong with a MongoDB address: a sentence for each cause, and none shows a password."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from hyperhive.store.errors import BadAddress, StoreUnavailable
from hyperhive.store.server.address import Address, address, place
from hyperhive.store.store import Store

SECRET = "s3cr3t-sesame"
ESCAPE = r"must be written as %XX"


@pytest.mark.parametrize(
    ("uri", "cause"),
    [
        ("mongodb://h/x?useNewUrlParser=true", "the option useNewUrlParser is unknown"),
        ("mongodb://h/x?tls=true&replicaSett=r", "the option replicaSett is unknown"),
        ("mongodb+srv://h.example.org/x?retryWritess=true", "the option retryWritess is unknown"),
        ("mongodb://h:99999/x", "the port of h must be a number from 1 to 65535"),
        ("mongodb://h:0/x", "the port of h must be a number"),
        ("mongodb://a,h:27o17/x", "the port of h must be a number"),
        ("mongodb://h:27017 /x", "the port of h must be a number"),
        ("mongodb://[::1]:x/", r"the port of \[::1\] must be a number"),
        ("mongodb://::1:27017/x", "IPv6 address must be written in brackets"),
        ("mongodb://u:s3cr3t-sesame@fe80::1/x", "IPv6 address must be written in brackets"),
        ("mongodb://[::1/x", "has brackets"),
        ("mongodb://h h/x", "a host is a name or an address"),
        ("mongodb://", "names no host"),
        ("mongodb://u:s3cr3t-sesame@/x", "names no host"),
        ("mongodb://a,,b/x", "a comma without a host"),
        ("mongodb://u:s3cr3t-sesame:b@h/x", ESCAPE),
        ("mongodb://u:s3cr3t-sesame%zz@h/x", ESCAPE),
        ("mongodb://u:s3cr3t-sesame/b@h/x", ESCAPE),
        ("mongodb://:s3cr3t-sesame@h/x", "no USER before the @"),
        ("mongodb://u@h/x", "no PASSWORD before the @"),
        ("mongodb://u:@h/x", "no PASSWORD before the @"),
        ("mongodb://h/my database", "name of the database"),
        ("mongodb://h/my.database", "name of the database"),
        ("mongodb://h/x?tls", "the option tls has no value"),
        ("mongodb://h/x?authSource=", "the option authSource has no value"),
        ("mongodb://h/x?tls=true&tls=false", "the option tls is there twice"),
        ("mongodb://h/x?tls=true&w=1;appName=a", "use & alone"),
        ("mongodb://h/x?tls=perhaps", "The value of tls must be 'true' or 'false'"),
        ("mongodb://h/x?connectTimeoutMS=soon", "connectTimeoutMS"),
        ("mongodb://h/x?authMechanism=s3cr3t-sesame", "the option authMechanism cannot have"),
        ("mongodb://h/x?readPreference=s3cr3t-sesame", "the option readPreference cannot have"),
        ("mongodb://a,b/x?directConnection=true", "multiple hosts with directConnection"),
        ("mongodb://h/x?tls=true&ssl=false", "conflicting values for URI options"),
        ("mongodb://h/x?srvServiceName=m", "srvServiceName option is only allowed"),
        ("mongodb+srv://h.example.org:27017/x", r"mongodb\+srv:// takes no port"),
        ("mongodb+srv://a.example.org,b.example.org/x", "exactly one host name"),
        ("mongodb+srv://192.168.1.10/x", "write mongodb:// before an IP address"),
        ("mongodb+srv://h.example.org/x?directConnection=true", "exclude each other"),
    ],
)
def test_each_cause_has_its_own_sentence(uri: str, cause: str) -> None:
    """The part that is wrong is named, and only a wrong login is told to escape its password."""
    with pytest.raises(BadAddress, match=cause) as refused:
        address(uri)
    said = str(refused.value)
    assert SECRET not in said
    assert ("%XX" in said) == (cause == ESCAPE)
    assert "looks like mongodb://USER:PASSWORD@HOST" in said


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://h/x?authMechanism=GSSAPI",
        "mongodb://u@h/x?authMechanism=GSSAPI&authSource=admin",
        "mongodb://u:s3cr3t-sesame@h/x?authMechanism=MONGODB-X509&tls=true",
        "mongodb://u:s3cr3t-sesame@h/x?authMechanism=MONGODB-AWS&authSource=admin",
        "mongodb://h/x?minPoolSize=10&maxPoolSize=1",
        "mongodb://h/x?heartbeatFrequencyMS=1",
        "mongodb://h/x?tls=false&tlsCAFile=FILE",
        "mongodb://h/x?tls=true&tlsCAFile=FILE",
        "mongodb://h/x?tls=true&tlsCertificateKeyFile=FILE",
    ],
)
def test_what_only_a_client_finds_is_an_expected_error(uri: str, tmp_path: Path) -> None:
    """PyMongo's ``ValueError`` and OpenSSL's errors become a sentence that names the source."""
    file = tmp_path / "no-certificate.pem"
    file.write_text("nothing of the kind\n")
    with pytest.raises(BadAddress, match="HYPERHIVE_MONGO") as refused:
        Store(Address(uri.replace("FILE", str(file)), "HYPERHIVE_MONGO"))
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("uri", ["http://h/", "mongodb://h:0/", "mongodb://h/x?tlsCAFile=/no/file"])
def test_an_error_names_where_the_address_was_given(uri: str) -> None:
    """A user with two variables and a saved login reads which of them to correct."""
    with pytest.raises(BadAddress, match="in the place for it"):
        place(Address(uri, "the place for it"))


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://u:p%40%3A%2F@h:1,[::1]:2/x?authSource=admin&w=majority",
        "mongodb://%2Ftmp%2Fmongodb-27017.sock/x",
        "mongodb://h/my-db_1?readPreferenceTags=a:b&readPreferenceTags=c:d",
        "mongodb://CN=me@h/x?authMechanism=MONGODB-X509&tls=true",
        "mongodb+srv://u:p@h.example.org/?retryWrites=true&w=majority&appName=A",
        "mongodb://h/?",
    ],
)
def test_a_valid_address_is_accepted(uri: str) -> None:
    """The checks refuse nothing that PyMongo takes."""
    assert "@" not in address(uri)


def test_a_slot_knows_where_its_address_came_from() -> None:
    """The marks of an address survive the way into another process."""
    sent = Address("mongodb://h/", "some file", is_saved=True)
    arrived = pickle.loads(pickle.dumps(sent))
    assert arrived == sent
    assert place(arrived) == place(sent)
    assert (place(arrived).source, place(arrived).is_saved) == ("some file", True)


def test_a_server_that_is_off_has_the_cure_for_a_saved_login() -> None:
    """It may be the server that this machine shares, or one that is no longer wanted."""
    uri, file = "mongodb://127.0.0.1:1/hyperhive", "/home/me/login.uri, the saved login"
    for is_saved in (False, True):
        store = Store(Address(uri, file, is_saved), timeout=0.5)
        with store, pytest.raises(StoreUnavailable, match="does not answer: start it") as away:
            store.ping()
        words = ("`hyperhive mongo share`", f"{file}, or delete that file to go back to this")
        assert [word in str(away.value) for word in words] == [is_saved, is_saved]
