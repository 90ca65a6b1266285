"""A scenario of streams: subscribers listen in their own process while the load publishes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from labcore.kernel import PeerError, UsageError
from labcore.measure.experiment import Comparison, compare, look
from labcore.measure.judgement import findings
from labcore.measure.record import RunRow

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("nothing_left_behind"),
]

SUBSCRIBERS = 5
RATE, DURATION_S = 100, 1.0
SERVICE = """
    import asyncio, itertools, json, time
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from labcore.lanes import Audience, Lane, Parameter, Request, Scenario, Service
    from labcore.protocols import Frame, Hub, sse

    LATE_S = {"prompt": 0.0, "late": 0.03}

    def build(setting):
        hub, ids = Hub(), itertools.count(1)

        def publish(number, published_ns):
            document = json.dumps({"published_ns": published_ns})
            hub.publish(Frame(sse.encode(document, event_id=str(number))))

        async def change(_):
            late = LATE_S[setting.lane]
            asyncio.get_running_loop().call_later(late, publish, next(ids), time.monotonic_ns())
            return PlainTextResponse("published")

        async def stream(request):
            if request.headers.get("authorization") != "Bearer let-me-in":
                return PlainTextResponse("who are you?", status_code=401)
            return sse.EventStream(hub.subscribe())

        async def healthy(_):
            return PlainTextResponse("ok")

        async def end():
            hub.end()

        routes = [
            Route("/", change, methods=["POST"]),
            Route("/stream", stream),
            Route("/healthz", healthy),
        ]
        return Service(app=Starlette(routes=routes), end_streams=end)

    class Workload:
        answered = frozenset({"ok"})
        def requests(self, *, seed, count, parameters):
            return [Request("POST", "/")] * count
        def outcome(self, status):
            return "ok" if status == 200 else "failed"

    def audience(url, parameters):
        if not parameters["subscribers"]:
            return None
        headers = (("Authorization", "Bearer " + parameters["token"]),)
        return Audience("/stream", parameters["subscribers"], headers=headers)

    SCENARIO = Scenario(
        name="news",
        title="News",
        question="Whose news is older?",
        lanes=tuple(Lane(name, name, "", "", "news_service:build") for name in LATE_S),
        baseline="prompt",
        workload=Workload(),
        parameters=(
            Parameter("subscribers", 5, "", "who listen", 0, 1000),
            Parameter("token", "let-me-in", "", "what they show"),
        ),
        audience=audience,
    )
"""


@pytest.fixture(scope="module", autouse=True)
def installed(installing: Callable[..., Path]) -> Path:
    return installing("news", SERVICE)


@pytest.fixture(scope="module")
def measured(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return compare(
        "news",
        rate=RATE,
        duration_s=DURATION_S,
        warmup_s=0.3,
        pairs=1,
        seed=7,
        repeats=0,
        out=tmp_path_factory.mktemp("runs") / "news",
    )


def test_every_subscriber_gets_what_was_published_in_the_window(measured: Comparison):
    for run in measured.recording.runs.to_dict("records"):
        assert run["subscribers"] == SUBSCRIBERS
        assert (run["subscribers_refused"], run["subscribers_lost"]) == (0, 0)
        assert (run["deliveries_repeated"], run["deliveries_skipped"]) == (0, 0)
        deliveries = measured.recording.deliveries(run["run"])
        assert set(deliveries.connection) == set(range(SUBSCRIBERS))
        # At the edges of the window an event may be published that was asked for outside of it.
        published = run["deliveries_per_s"] * DURATION_S / SUBSCRIBERS
        assert published == pytest.approx(run["requests"], abs=3)


def test_a_lane_that_publishes_late_is_seen_to(measured: Comparison):
    delays = measured.recording.runs.set_index("arm").delivery_p50_ms
    assert 30 < delays["late"] < 200
    assert 0 < delays["prompt"] < delays["late"]
    assert {"delivery_p50_ms", "delivery_p99_ms", "cpu_per_delivery_us"} <= {
        verdict.metric for verdict in measured.verdicts
    }


def test_without_subscribers_nothing_is_delivered_nor_judged(tmp_path: Path):
    looked = look(
        "news", rate=50, duration_s=0.5, parameters={"subscribers": 0}, out=tmp_path / "look"
    )
    assert looked.recording.runs.subscribers.isna().all()
    assert not any("deliver" in verdict.metric for verdict in looked.verdicts)
    with pytest.raises(UsageError, match="no audience"):
        looked.recording.deliveries("r0001")


def test_an_audience_that_nobody_lets_in_ends_the_experiment(tmp_path: Path):
    with pytest.raises(PeerError, match=r"no subscriber could connect.*status 401"):
        look("news", rate=50, duration_s=0.5, parameters={"token": "x"}, out=tmp_path / "look")


@pytest.mark.parametrize("figure", ["audience_cpu_share", "audience_run_delay_share"])
def test_an_audience_without_time_to_listen_voids_the_run(
    make_row: Callable[..., RunRow], figure: str
):
    assert findings(make_row(**{figure: 0.04})) == []
    (finding,) = findings(make_row(**{figure: 0.9}))
    assert "subscribers" in finding.sentence
