"""Lists of orders over real sockets, in every lane: demand end to end, and an end for each stream."""

import socket
from collections.abc import Iterator

import pytest

from labcore.lanes import DatabaseServer, Deployment, Site, Stage
from servers.order_service import SCENARIO
from servers.order_service.shopper import (
    Shopper,
    head_of,
    opened,
    shopper_at,
    some_products,
    status_of,
    until,
)

PAST = 40_000  # some 12 MB as a list: more than the sockets between two processes hold
VALUES = {"payment_ms": 5.0, "max_streams": 2, "past_orders": PAST}


@pytest.fixture(scope="module")
def stage(database_server: DatabaseServer) -> Iterator[Stage]:
    """The checkout with a past."""
    with Stage(SCENARIO, VALUES, server=database_server) as prepared:
        yield prepared


@pytest.fixture(scope="module", params=[lane.name for lane in SCENARIO.lanes])
def deployment(stage: Stage, request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """One lane at a time."""
    with stage.deploy(request.param) as deployed:
        yield deployed


def gauges(shopper: Shopper) -> dict[str, float]:
    stats: dict[str, float] = shopper.http.get(f"{shopper.site.url}/stats").json()
    return stats


def begun_list(site: Site) -> socket.socket:
    """A connection whose server has begun to list all orders and whose client does not read on."""
    connection = opened(site)
    connection.sendall(b"GET /orders HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status_of(head_of(connection)) == 200
    return connection


def test_a_reader_who_stops_stops_the_cursor_and_one_who_leaves_frees_it(deployment: Deployment):
    site = deployment.site()
    with shopper_at(site) as shopper:
        until(lambda: gauges(shopper)["db_pool_busy"] == 0, "an idle pool")
        idle_mb = gauges(shopper)["rss_mb"]
        with begun_list(site), begun_list(site):
            until(lambda: gauges(shopper)["streams"] == 2, "two streams")
            assert shopper.http.get(f"{site.url}/orders").status_code == 503
            assert shopper.buy([(some_products(1)[0], 1)]).status_code == 201
            until(
                lambda: gauges(shopper)["db_pool_busy"] == 2,
                "only the two cursors' connections busy",
            )
            stopped = gauges(shopper)
            assert stopped["streams"] == 2
            assert stopped["rss_mb"] - idle_mb < 20
        until(lambda: gauges(shopper)["db_pool_busy"] == 0, "both connections back in the pool")
        until(lambda: gauges(shopper)["streams"] == 0, "no stream left")
        assert len(shopper.orders()) > PAST


def test_a_stop_ends_open_streams_at_once(stage: Stage, deployment: Deployment):
    with stage.deploy(deployment.lane.name) as another, begun_list(another.site()) as reader:
        assert another.server is not None
        another.server.stop()
        assert b"\r\n0\r\n\r\n" not in rest_of(reader)


def rest_of(connection: socket.socket) -> bytes:
    """What comes until the other side closes."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))
