"""The readers in conversation: pipelining, pausing, connections that end, and upstreams that lie."""

from __future__ import annotations

import pytest

from mesh.protocol.http1.errors import HttpRefused
from mesh.protocol.http1.heads import CHUNKED, UNTIL_CLOSE, RequestHead, ResponseHead
from mesh.protocol.http1.known_heads import KNOWN_REQUESTS
from mesh.protocol.http1.limits import HttpLimits
from mesh.protocol.http1.reader import RequestReader, ResponseReader
from mesh.reasons import Reason

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
CONNECT = b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """A request sink that notes what it is given; a test hangs its reactions on it."""

    def __init__(self) -> None:
        self.targets: list[bytes] = []
        self.heads: list[RequestHead] = []
        self.bodies: list[bytes] = []
        self.ends = 0
        self.reader = RequestReader(self, HttpLimits())
        self.pauses = False
        self.resumes = False
        self.allows: int | None = None

    def on_request(self, head: RequestHead) -> None:
        self.heads.append(head)
        self.targets.append(head.target)
        if self.pauses:
            self.reader.pause()
        if self.allows is not None:
            self.reader.body_limit = self.allows

    def on_body(self, data: bytes) -> None:
        self.bodies.append(data)

    def on_request_end(self) -> None:
        self.ends += 1
        if self.resumes:
            self.reader.resume()


class Client:
    """A response sink that notes what it is given."""

    def __init__(self, limits: HttpLimits | None = None) -> None:
        self.heads: list[ResponseHead] = []
        self.interim: list[int] = []
        self.bodies: list[bytes] = []
        self.ends = 0
        self.reader = ResponseReader(self, limits or HttpLimits())
        self.reusable_at_end: bool | None = None
        self.expects_at_end = False

    def on_interim(self, head: ResponseHead) -> None:
        self.interim.append(head.status)

    def on_response(self, head: ResponseHead) -> None:
        self.heads.append(head)

    def on_body(self, data: bytes) -> None:
        self.bodies.append(data)

    def on_response_end(self) -> None:
        self.ends += 1
        self.reusable_at_end = self.reader.between_messages
        if self.expects_at_end:
            self.reader.expect("GET")


def request(*fields: bytes, version: bytes = b"1.1") -> RequestHead:
    server = Server()
    server.reader.feed(b"\r\n".join([b"POST / HTTP/" + version, b"Host: a", *fields]) + b"\r\n\r\n")
    return server.heads[0]


def test_head_says_what_was_sent() -> None:
    server = Server()
    server.reader.feed(
        b"POST /mcp?a=b HTTP/1.1\r\nHOST: a\r\nContent-Type:application/json \r\nContent-Length: 2\r\n\r\n{}"
    )
    assert server.heads == [
        RequestHead(
            method="POST",
            target=b"/mcp?a=b",
            headers=[(b"host", b"a"), (b"content-type", b"application/json"), (b"content-length", b"2")],
            body_length=2,
            keep_alive=True,
            expects_continue=False,
            http10=False,
        )
    ]


def test_pipelined_requests_are_read_one_after_the_other() -> None:
    server = Server()
    server.reader.feed(GET % 1 + GET % 2 + GET % 3)
    assert server.targets == [b"/1", b"/2", b"/3"]
    assert server.reader.between_messages


def test_body_is_handed_over_as_it_arrives() -> None:
    server = Server()
    server.reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab")
    server.reader.feed(b"cd")
    assert server.bodies == [b"ab", b"cd"]
    assert not server.reader.between_messages
    server.reader.feed(b"ef" + GET % 2)
    assert (server.bodies, server.ends) == ([b"ab", b"cd", b"ef"], 2)


def test_chunk_is_handed_over_before_it_is_complete() -> None:
    server = Server()
    server.reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nab")
    assert server.heads[0].body_length == CHUNKED
    assert server.bodies == [b"ab"]


def test_body_that_arrives_alone_is_not_copied() -> None:
    server = Server()
    body = b"x" * 1000
    server.reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
    server.reader.feed(body)
    assert server.bodies[0] is body


def test_paused_reader_holds_the_next_request_until_it_is_resumed() -> None:
    server = Server()
    server.pauses = True
    server.reader.feed(GET % 1 + GET % 2)
    server.reader.feed(GET % 3)
    assert server.targets == [b"/1"]
    assert not server.reader.between_messages
    server.reader.resume()
    assert server.targets == [b"/1", b"/2"]
    server.reader.resume()
    assert server.targets == [b"/1", b"/2", b"/3"]


def test_resuming_with_nothing_held_goes_on_with_what_comes() -> None:
    server = Server()
    server.reader.pause()
    server.reader.resume()
    server.reader.feed(GET % 1)
    assert server.targets == [b"/1"]


def test_request_answered_inside_the_callback_does_not_nest() -> None:
    server = Server()
    server.pauses = server.resumes = True
    server.reader.feed(b"".join(GET % i for i in range(2000)))
    assert server.ends == 2000


def test_body_of_the_present_request_flows_while_paused() -> None:
    server = Server()
    server.pauses = True
    server.reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
    server.reader.feed(b"b" + GET % 2)
    assert (server.bodies, server.ends) == ([b"a", b"b"], 1)
    assert server.reader.unread() == GET % 2


def test_bytes_behind_connect_belong_to_the_tunnel() -> None:
    server = Server()
    server.reader.feed(CONNECT + b"\x16\x03\x01")
    server.reader.feed(b"\x02")
    assert (server.targets, server.ends) == ([b"a:443"], 1)
    assert not server.heads[0].keep_alive
    server.reader.resume()
    server.reader.eof()
    assert server.reader.unread() == b"\x16\x03\x01\x02"
    assert server.reader.unread() == b""


def test_tunnel_that_nobody_opens_does_not_fill_the_memory() -> None:
    server = Server()
    server.reader.feed(CONNECT)
    with pytest.raises(HttpRefused) as caught:
        server.reader.feed(b"x" * 40000)
    assert caught.value.reason is Reason.HTTP_MALFORMED


def test_refusal_is_final() -> None:
    server = Server()
    with pytest.raises(HttpRefused) as first:
        server.reader.feed(b"nonsense")
    with pytest.raises(HttpRefused) as second:
        server.reader.feed(GET % 1)
    assert second.value is first.value
    assert not server.reader.between_messages
    server.reader.eof()
    assert server.targets == []


def test_requests_before_a_refused_one_stand() -> None:
    server = Server()
    with pytest.raises(HttpRefused):
        server.reader.feed(GET % 1 + b"GET / HTTP/3\r\n\r\n")
    assert server.targets == [b"/1"]


def test_sink_may_lift_or_lower_the_body_limit_for_its_message() -> None:
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n"
    server = Server()
    server.allows = 0
    server.reader.feed(post)
    strict = Server()
    strict.allows = 1
    with pytest.raises(HttpRefused) as caught:
        strict.reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
    assert (caught.value.reason, caught.value.status) == (Reason.HTTP_BODY_TOO_LARGE, 413)


def test_changed_body_limit_does_not_outlive_its_message() -> None:
    server = Server()
    server.allows = 1
    server.reader.feed(GET % 1)
    server.allows = None
    server.reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi")
    assert server.bodies == [b"hi"]


@pytest.mark.parametrize(
    ("fields", "version", "keeps"),
    [
        ([], b"1.1", True),
        ([b"Connection: keep-alive"], b"1.1", True),
        ([b"Connection: Keep-Alive, X"], b"1.1", True),
        ([b"Connection: close"], b"1.1", False),
        ([b"Connection: CLOSE"], b"1.1", False),
        ([b"Connection: keep-alive, close"], b"1.1", False),
        ([b"Connection: close", b"Connection: keep-alive"], b"1.1", False),
        ([b"Connection: closed"], b"1.1", True),
        ([], b"1.0", False),
        ([b"Connection: keep-alive"], b"1.0", False),
    ],
)
def test_connection_is_kept_unless_somebody_says_close(
    fields: list[bytes], version: bytes, keeps: bool
) -> None:
    assert request(*fields, version=version).keep_alive is keeps


def test_expectation_of_100_continue_is_told_except_for_http10() -> None:
    assert request(b"Expect: 100-Continue", b"Content-Length: 5").expects_continue
    assert not request(b"Expect: 100-continue", b"Content-Length: 5", version=b"1.0").expects_continue


def test_upgrade_that_connection_does_not_name_is_stripped() -> None:
    assert request(b"Upgrade: websocket", b"X: y").headers == [(b"host", b"a"), (b"x", b"y")]


def test_same_request_line_with_another_host_is_checked_again() -> None:
    server = Server()
    server.reader.feed(b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n")
    with pytest.raises(HttpRefused) as caught:
        server.reader.feed(b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n")
    assert caught.value.reason is Reason.HTTP_BAD_HOST


def test_same_request_line_without_host_is_checked_again() -> None:
    server = Server()
    server.reader.feed(GET % 1)
    with pytest.raises(HttpRefused) as caught:
        server.reader.feed(b"GET /1 HTTP/1.1\r\n\r\n")
    assert caught.value.reason is Reason.HTTP_BAD_HOST


def test_client_may_leave_between_requests() -> None:
    server = Server()
    server.reader.feed(GET % 1)
    server.reader.eof()


def test_response_is_read_when_it_is_expected() -> None:
    client = Client()
    client.reader.expect("GET")
    assert not client.reader.between_messages
    assert not client.reader.answer_begun
    client.reader.feed(OK[:10])
    assert client.reader.answer_begun
    client.reader.feed(OK[10:])
    assert (client.bodies, client.ends, client.reusable_at_end) == ([b"ok"], 1, True)
    assert client.reader.between_messages
    assert not client.reader.answer_begun


def test_pipelined_responses_match_their_requests() -> None:
    client = Client()
    for method in ("HEAD", "GET", "GET"):
        client.reader.expect(method)
    client.reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + OK + OK)
    assert [head.body_length for head in client.heads] == [0, 2, 2]


def test_interim_responses_come_before_their_response() -> None:
    client = Client()
    client.reader.expect("POST")
    client.reader.feed(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert client.reader.answer_begun
    client.reader.feed(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK)
    assert (client.interim, client.ends) == ([100, 103], 1)


def test_data_without_a_request_is_refused() -> None:
    client = Client()
    with pytest.raises(HttpRefused) as caught:
        client.reader.feed(OK)
    assert (caught.value.reason, caught.value.status) == (Reason.UPSTREAM_MALFORMED, 502)
    with pytest.raises(HttpRefused):
        client.reader.expect("GET")


def test_data_that_follows_later_is_refused() -> None:
    client = Client()
    client.reader.expect("GET")
    client.reader.feed(OK)
    with pytest.raises(HttpRefused) as caught:
        client.reader.feed(b"!")
    assert caught.value.reason is Reason.UPSTREAM_MALFORMED


def test_connection_with_surplus_data_cannot_be_reused_even_from_inside_the_end() -> None:
    client = Client()
    client.expects_at_end = True
    client.reader.expect("GET")
    with pytest.raises(HttpRefused) as caught:
        client.reader.feed(OK + OK)
    assert caught.value.reason is Reason.UPSTREAM_MALFORMED
    assert (client.ends, client.reusable_at_end) == (1, False)
    assert not client.heads[0].keep_alive


def test_connection_that_closes_takes_no_further_request() -> None:
    client = Client()
    client.reader.expect("GET")
    client.reader.feed(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert not client.heads[0].keep_alive
    assert not client.reader.between_messages
    client.reader.eof()
    with pytest.raises(HttpRefused):
        client.reader.expect("GET")


def test_body_without_length_ends_with_the_connection() -> None:
    client = Client()
    client.reader.expect("GET")
    client.reader.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    assert (client.heads[0].body_length, client.heads[0].keep_alive) == (UNTIL_CLOSE, False)
    client.reader.feed(b"some")
    assert client.ends == 0
    client.reader.eof()
    assert (client.bodies, client.ends) == ([b"some"], 1)


def test_stream_without_limit_goes_on() -> None:
    client = Client(HttpLimits(body_bytes=0))
    client.reader.expect("GET")
    client.reader.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(10):
        client.reader.feed(b"x" * 1_000_000)
    assert len(client.bodies) == 10


def test_connection_lost_before_an_answer_is_truncated() -> None:
    client = Client()
    client.reader.expect("GET")
    with pytest.raises(HttpRefused) as caught:
        client.reader.eof()
    assert (caught.value.reason, caught.value.status) == (Reason.HTTP_TRUNCATED, 502)
    client.reader.eof()


def test_idle_connection_may_close() -> None:
    Client().reader.eof()


def test_bytes_behind_an_accepted_connect_belong_to_the_tunnel() -> None:
    client = Client()
    client.reader.expect("CONNECT")
    client.reader.feed(b"HTTP/1.1 200 OK\r\n\r\nhello")
    assert client.ends == 1
    assert client.reader.unread() == b"hello"
    assert not client.reader.between_messages
    client.reader.eof()


@pytest.mark.parametrize(("target", "kept"), [(b"/mine", True), (b"/mine?token=s3cr3t", False)])
def test_a_head_is_remembered_unless_its_target_has_a_query(target: bytes, kept: bool) -> None:
    section = b"GET %b HTTP/1.1\r\nHost: a" % target
    server = Server()
    for _ in range(2):
        server.reader.feed(section + b"\r\n\r\n")
    assert server.targets == [target, target]
    assert (KNOWN_REQUESTS.get(section, b"") is not None) is kept


def test_the_empty_line_behind_a_body_begins_no_request() -> None:
    server = Server()
    server.reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi\r")
    assert not server.reader.between_messages
    server.reader.feed(b"\n")
    assert server.reader.between_messages
    server.reader.feed(b"G")
    assert not server.reader.between_messages
    server.reader.feed((GET % 1)[1:])
    assert server.targets == [b"/", b"/1"]
    server.reader.eof()


def test_a_head_behind_an_empty_line_is_remembered_without_it() -> None:
    server = Server()
    section = b"GET /behind-an-empty-line HTTP/1.1\r\nHost: a"
    server.reader.feed(b"\r\n" + section + b"\r\n\r\n")
    server.reader.feed(section + b"\r\n\r\n")
    assert server.heads[0] == server.heads[1]
    assert KNOWN_REQUESTS.get(section, b"") is not None
    assert KNOWN_REQUESTS.get(b"\r\n" + section, b"") is None
