import pytest

from srn.errors import InputError
from srn.serving.address import parse_address


@pytest.mark.parametrize(
    "text, expected",
    [
        ("localhost", "grpc://localhost:8500"),
        ("localhost:9000", "grpc://localhost:9000"),
        (" grpc://10.0.0.1:8500 ", "grpc://10.0.0.1:8500"),
        ("grpcs://srn.example.com", "grpcs://srn.example.com:443"),
        ("[::1]:8500", "grpc://[::1]:8500"),
        ("http://localhost:8501", "http://localhost:8501"),
        ("http://localhost/x", "http://localhost:80/x"),
        ("HTTPS://Host/a/path/", "https://host:443/a/path"),
        ("https://u:secret@host:8443/p?key=1", "https://host:8443/p"),
        ("localhost:8500/", "grpc://localhost:8500"),
        ("https://[::1]/p/", "https://[::1]:443/p"),
        ("http://[fe80::1%25eth0]:1", "http://[fe80::1%25eth0]:1"),
        ("http://host:", "http://host:80"),
        ("unix:/run/serving.sock", "unix:/run/serving.sock"),
        ("UNIX:///run/serving.sock", "unix:/run/serving.sock"),
    ],
)
def test_what_is_left_out_is_the_usual(text, expected):
    assert str(parse_address(text)) == expected


def test_a_zone_of_ipv6_is_for_grpc_as_systems_write_it():
    assert parse_address("[fe80::1%25eth0]:1").target == "[fe80::1%eth0]:1"


def test_path_query_and_user_are_kept_and_secrets_are_not_shown():
    address = parse_address("https://me:p%40ss@host/deep/path?key=1&b=")

    assert (address.path, address.query, address.user) == ("/deep/path", "key=1&b=", ("me", "p@ss"))
    assert "p@ss" not in repr(address) and "key" not in str(address)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "no address"),
        ("http://", "no address"),
        ("host name:1", "has a blank in it"),
        ("host\tname:1", "has a blank in it"),
        ("8500", "no address"),
        (":8500", "no address"),
        ("%41", "no address"),
        ("a..b", "1 to 63 letters"),
        ("a" * 64, "1 to 63 letters"),
        ("localhost:many", "no port from 1 to 65535"),
        ("localhost:99999", "no port"),
        ("localhost:0", "no port"),
        ("localhost:+1", "no port"),
        ("localhost:1,localhost:2", "no port"),
        ("[::1", "Invalid IPv6"),
        ("[x::y]:1", "does not appear to be an IPv4 or IPv6 address"),
        ("ftp://localhost:1", "there is no ftp://"),
        ("http:localhost:1", "after http comes ://"),
        ("http:/localhost", "after http comes ://"),
        ("https//localhost", "after https comes ://"),
        ("localhost:1/path", "a path is for http:// and https:// alone"),
        ("localhost:1?key=1", "a query is for http"),
        ("user:pw@localhost:1", "a user is for http"),
        ("http://localhost:1#x", "no #"),
    ],
)
def test_what_is_wrong_is_said(text, reason):
    with pytest.raises(InputError, match=reason) as caught:
        parse_address(text)

    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"server={text}: ")
    assert "HOST:PORT" in line


@pytest.mark.parametrize("text", ["::1", "::1:8500", "grpc://::1", "http://::1/x", "fe80::1%eth0"])
def test_ipv6_without_brackets_is_told_of_them(text):
    with pytest.raises(InputError, match=r"brackets, such as \[::1\]:8500"):
        parse_address(text)


@pytest.mark.parametrize("rest", ["/v1", "/v1/models/srn", "/deep/v1/models/srn:predict", "/v1/"])
def test_the_address_of_a_call_is_told_from_that_of_a_server(rest):
    with pytest.raises(InputError, match="the part before /v1, and the model as `model`"):
        parse_address(f"http://localhost:8501{rest}")


def test_a_socket_needs_its_path():
    with pytest.raises(InputError, match="no path of a socket"):
        parse_address("unix:")
