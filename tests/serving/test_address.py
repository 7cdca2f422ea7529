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
    ],
)
def test_what_is_left_out_is_the_usual(text, expected):
    assert str(parse_address(text)) == expected


def test_path_query_and_user_are_kept_and_secrets_are_not_shown():
    address = parse_address("https://me:p%40ss@host/deep/path?key=1&b=")

    assert (address.path, address.query, address.user) == ("/deep/path", "key=1&b=", ("me", "p@ss"))
    assert "p@ss" not in repr(address) and "key" not in str(address)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "no address"),
        ("http://", "no address"),
        ("host name:1", "no address"),
        ("localhost:many", "port could not be cast"),
        ("localhost:99999", "port out of range"),
        ("localhost:0", "no address"),
        ("ftp://localhost:1", "there is no ftp://"),
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
