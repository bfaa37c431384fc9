"""What is sent, byte for byte."""

from __future__ import annotations

import pytest

from drill import __version__
from drill.probes.request import Template

OURS = f"Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nUser-Agent: drill/{__version__}\r\n"


def sent(method: str, url: str, **rest: object) -> str:
    values = rest.pop("values", {})
    template = Template(method, url, rest.pop("headers", {}), keep=True, **rest)  # type: ignore[arg-type]
    return template.request(**values).data.decode()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "first", "host"),
    [
        ("http://orders", "/", "orders"),
        ("http://orders:8080/a/b?c=d#e", "/a/b?c=d", "orders:8080"),
        ("https://orders:443/a b?q=é", "/a%20b?q=%C3%A9", "orders"),
        ("http://[::1]:81/%2Fa", "/%2Fa", "[::1]:81"),
        ("http://bücher.example/", "/", "xn--bcher-kva.example"),
    ],
)
def test_a_url_becomes_a_target_and_a_host(url: str, first: str, host: str) -> None:
    """Quoted where it must be, without fragment, default port and non-ASCII names."""
    assert sent("GET", url) == f"GET {first} HTTP/1.1\r\nHost: {host}\r\n{OURS}\r\n"


def test_ids_are_filled_in_everywhere() -> None:
    """URL, headers, JSON and text: a number where it stands alone in JSON, text elsewhere."""
    json = sent(
        "POST", "http://o/${id}", headers={"X-Id": "${id}"}, json={"id": "${id}", "n": "#${id}"}, values={"id": 7}
    )
    text = sent("PUT", "http://o/", body="${id}", values={"id": 42})

    assert json == (
        f"POST /7 HTTP/1.1\r\nHost: o\r\n{OURS}Content-Type: application/json\r\nX-Id: 7\r\n"
        'Content-Length: 20\r\n\r\n{"id": 7, "n": "#7"}'
    )
    assert text.endswith("Content-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\n42")


def test_one_template_makes_different_requests() -> None:
    """Nothing of one id, or of its server, is left in the next."""
    template = Template("POST", "http://o${id}/${id}", {"X": "${id}"}, keep=False)

    requests = [template.request(id=id) for id in (1, 2)]

    assert [(one.origin.host, one.data[:29]) for one in requests] == [
        ("o1", b"POST /1 HTTP/1.1\r\nHost: o1\r\nA"),
        ("o2", b"POST /2 HTTP/1.1\r\nHost: o2\r\nA"),
    ]
    assert [one.data.count(b"\r\nX: %d\r\n" % id) for id, one in enumerate(requests, 1)] == [1, 1]
    assert all(b"Connection: close\r\n" in one.data and b"Content-Length: 0\r\n" in one.data for one in requests)


def test_headers_of_the_file_come_instead_of_ours() -> None:
    """Whatever the case of their names; how long the body is, only we know."""
    headers = {"host": "west", "user-agent": "me", "ACCEPT": "a/b", "accept-encoding": "", "content-length": "99"}

    assert sent("GET", "http://o/", headers=headers) == (
        "GET / HTTP/1.1\r\nhost: west\r\nuser-agent: me\r\nACCEPT: a/b\r\naccept-encoding: \r\n\r\n"
    )


def test_a_login_in_the_url_is_sent_as_a_header() -> None:
    """Decoded first; a header of the file's own wins."""
    assert "\r\nAuthorization: Basic dXM6cEBzcw==\r\n" in sent("GET", "http://us:p%40ss@o/")
    assert "\r\nAuthorization: x\r\n" in sent("GET", "http://us:p%40ss@o/", headers={"Authorization": "x"})
    assert sent("GET", "http://us:p%40ss@o/", headers={"authorization": "x"}).count("uthorization") == 1


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X\n": "a"}, {"": "a"}, {"X Y": "a"}])
def test_a_header_that_ends_its_line_is_not_sent(headers: dict[str, str]) -> None:
    """Whoever fills in a value cannot write headers."""
    with pytest.raises(ValueError, match="header"):
        sent("GET", "http://o/", headers=headers)


@pytest.mark.parametrize("url", ["ftp://o/", "o/orders", "http://", "http://o:99999/"])
def test_what_is_no_url_is_not_asked(url: str) -> None:
    """It is told, and nothing is sent."""
    with pytest.raises(ValueError):  # noqa: PT011 whose message nobody sees
        sent("GET", url)
