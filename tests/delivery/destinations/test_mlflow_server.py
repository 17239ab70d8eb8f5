"""The destination `mlflow` against a real server: what arrives is what MLflow's own client would have sent."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from autotrace.config import load
from autotrace.delivery.destinations import Record, RetryLater
from autotrace.delivery.destinations.mlflow import MlflowDestination
from autotrace.delivery.destinations.mlflow.assessments import assessment_id
from autotrace.delivery.platform import detect
from autotrace.delivery.resource import resource_of

from .mlflow_server import NOW, RESOURCE, Server, chat, feedback, new_trace, said, span, update

Make = Callable[..., MlflowDestination]
DAY_NS = 24 * 3600 * 10**9
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def tokens(info: dict[str, Any]) -> tuple[int, int, int]:
    """Input, output and total of a trace."""
    found = json.loads(info["trace_metadata"].get("mlflow.trace.tokenUsage", "{}"))
    return found.get("input_tokens"), found.get("output_tokens"), found.get("total_tokens")


def agent(trace_id: str, **more: Any) -> Record:
    """A root that holds what an application says of its trace."""
    attributes = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "guide",
        "gen_ai.input.messages": said("user", "Where to?"),
        "gen_ai.output.messages": said("assistant", "To Oslo."),
        **more,
    }
    return span(trace_id, 1, None, attributes, name="invoke_agent guide")


class TestWholeTraces:
    """A trace whose root is here."""

    def test_all_that_is_known_of_it(self, to_mlflow: MlflowDestination, mlflow_server: Server) -> None:
        """What it is called, whose it is, where it comes from, what it said, took and cost: all is there."""
        trace = new_trace()
        labels = {
            "session.id": "s-1",
            "user.id": "bob",
            "autotrace.tags": '{"plan":"pro","mlflow.trace.spansLocation":"x","n":3}',
            "autotrace.trace.name": "support",
            "autotrace.request.id": "req-7",
        }
        resource = {**RESOURCE, "service.version": COMMIT, "process.command": "app.py", "vcs.ref.head.name": "main"}
        records = [chat(trace, 2, 1), chat(trace, 3, 1, (50, 5)), agent(trace, **labels)]
        assert to_mlflow.deliver(records, resource) == []
        info = mlflow_server.info(trace)
        assert (info["state"], info["execution_duration"], info["client_request_id"]) == ("OK", "0.998s", "req-7")
        assert (info["request_preview"], info["response_preview"]) == ("Where to?", "To Oslo.")
        assert tokens(info) == (150, 15, 165)
        metadata, tags = info["trace_metadata"], info["tags"]
        expected = {
            "mlflow.trace.session": "s-1",
            "mlflow.trace.user": "bob",
            "mlflow.source.name": "app.py",
            "mlflow.source.git.commit": COMMIT,
            "mlflow.source.git.branch": "main",
            "environment": "production",
            "app_version": COMMIT,
        }
        assert {key: metadata.get(key) for key in expected} == expected
        assert '"total_cost": 3.15e-05' in metadata["mlflow.trace.cost"]
        assert tags["mlflow.traceName"] == "support"
        assert tags["mlflow.trace.spansLocation"] == "TRACKING_STORE"
        own = {key: value for key, value in tags.items() if not key.startswith("mlflow.")}
        assert own == {
            "plan": "pro",
            "n": "3",
            "service.name": "shop",
            "service.version": COMMIT,
            "deployment.environment.name": "production",
        }

    def test_where_it_ran(
        self,
        to_mlflow: MlflowDestination,
        mlflow_server: Server,
        experiment: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Platform, environment, service, release and commit, as they are detected, are there to filter by."""
        monkeypatch.chdir(tmp_path)
        cloud = {"K_SERVICE": "agents", "K_REVISION": "agents-00042", "GIT_COMMIT": COMMIT}
        found: dict[str, str] = {}
        for argv, environ in ((["app.py"], {}), (["/bin/gunicorn"], {}), (["app.py"], cloud)):
            config = load(environ=environ, folder=tmp_path)
            platform = detect(config.variables, argv, {})
            trace = found[platform.name] = new_trace()
            to_mlflow.deliver([agent(trace)], dict(resource_of(config, platform).attributes))
        info = mlflow_server.info(found["cloud-run"])
        assert {key: value for key, value in info["tags"].items() if not key.startswith("mlflow.")} == {
            "autotrace.platform": "cloud-run",
            "deployment.environment.name": "production",
            "service.name": "agents",
            "service.version": "agents-00042",
            "cloud.provider": "gcp",
            "cloud.platform": "gcp_cloud_run",
            "faas.name": "agents",
            "faas.version": "agents-00042",
        }
        names = ("environment", "service", "app_version", "mlflow.source.git.commit")
        assert [info["trace_metadata"].get(name) for name in names] == ["production", "agents", "agents-00042", COMMIT]
        for condition, platforms in {
            "metadata.environment = 'production'": ["cloud-run", "gunicorn"],
            "tag.`deployment.environment.name` = 'development'": ["shell"],
            "tag.`autotrace.platform` = 'gunicorn'": ["gunicorn"],
            "tag.`service.version` = 'agents-00042'": ["cloud-run"],
        }.items():
            traces = {one["trace_id"] for one in mlflow_server.search(experiment, condition)}
            assert traces == {f"tr-{found[name]}" for name in platforms}, condition

    def test_spans(self, to_mlflow: MlflowDestination, mlflow_server: Server) -> None:
        """Each span has its type, an explicit status, inputs and outputs as objects, and its error as an exception."""
        trace = new_trace()
        tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look_up", "error.type": "KeyError"}
        records = [
            chat(trace, 2, 1),
            span(trace, 3, 1, {**tool, "gen_ai.tool.call.arguments": '{"city":"Oslo"}'}, status="error", message="no"),
            agent(trace),
        ]
        to_mlflow.deliver(records, RESOURCE)
        found = {one["name"]: one for one in mlflow_server.spans(trace)}
        shown = {name: (one["type"], one["status"], one["root"]) for name, one in found.items()}
        assert shown == {
            "guide": ("AGENT", "OK", True),
            "chat gpt-4o-mini": ("CHAT_MODEL", "OK", False),
            "look_up": ("TOOL", "ERROR", False),
        }
        assert found["look_up"]["inputs"] == {"city": "Oslo"}
        assert found["look_up"]["events"][0]["attributes"]["exception.type"] == "KeyError"
        assert found["chat gpt-4o-mini"]["inputs"]["messages"] == [{"role": "user", "content": "Why?"}]
        assert found["guide"]["outputs"]["choices"][0]["message"] == {"role": "assistant", "content": "To Oslo."}

    def test_filters_and_dashboards(self, to_mlflow: MlflowDestination, mlflow_server: Server, experiment: str) -> None:
        """Traces are found by type, tag, session and environment; tools and tokens count in the dashboards, once."""
        trace, other = new_trace(), new_trace()
        tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look_up"}
        to_mlflow.deliver(
            [chat(trace, 2, 1), span(trace, 3, 1, tool), agent(trace, **{"session.id": "s-9"}), chat(other, 1)],
            RESOURCE,
        )
        for condition in ("span.type = 'TOOL'", "metadata.`mlflow.trace.session` = 's-9'", "trace.name = 'guide'"):
            assert [one["trace_id"] for one in mlflow_server.search(experiment, condition)] == [f"tr-{trace}"], (
                condition
            )
        for condition in (
            "span.type = 'CHAT_MODEL'",
            "metadata.environment = 'production'",
            "tag.`service.name` = 'shop'",
        ):
            assert len(mlflow_server.search(experiment, condition)) == 2, condition
        assert mlflow_server.metric(experiment, "SPANS", "span_count", "span_name", "span_type", how="COUNT") == {
            ("guide", "AGENT"): 1,
            ("chat gpt-4o-mini", "CHAT_MODEL"): 2,
            ("look_up", "TOOL"): 1,
        }
        assert mlflow_server.metric(experiment, "TRACES", "total_tokens") == {(): 220}
        cost = mlflow_server.metric(experiment, "SPANS", "total_cost", "span_model_name", "span_model_provider")
        assert cost == {("gpt-4o-mini", "openai"): pytest.approx(4.2e-05)}

    def test_coming_twice(self, to_mlflow: MlflowDestination, mlflow_server: Server, experiment: str) -> None:
        """What is delivered again, in part or whole, changes no figure."""
        trace = new_trace()
        records = [chat(trace, 2, 1), chat(trace, 3, 1), agent(trace)]
        for part in (records, records, records[:1], records[1:]):
            to_mlflow.deliver(part, RESOURCE)
        assert tokens(mlflow_server.info(trace)) == (200, 20, 220)
        assert mlflow_server.metric(experiment, "SPANS", "span_count", how="COUNT") == {(): 3}

    def test_nested_calls_count_once(self, to_mlflow: MlflowDestination, mlflow_server: Server) -> None:
        """Of a model call with tokens that lies in another one, the trace counts both, and each once."""
        trace = new_trace()
        to_mlflow.deliver([chat(trace, 3, 2, (7, 1)), chat(trace, 2, 1, (30, 3)), agent(trace)], RESOURCE)
        assert tokens(mlflow_server.info(trace)) == (37, 4, 41)

    def test_what_looks_like_json(self, to_mlflow: MlflowDestination, mlflow_server: Server) -> None:
        """Texts that happen to be JSON stay the texts that they are."""
        trace = new_trace()
        labels = {"session.id": "[1, 2]", "user.id": '{"a": 1}', "autotrace.trace.name": '"quoted"'}
        tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.result": "42"}
        to_mlflow.deliver([span(trace, 2, 1, tool), agent(trace, **labels)], RESOURCE)
        info = mlflow_server.info(trace)
        assert info["trace_metadata"]["mlflow.trace.session"] == "[1, 2]"
        assert info["trace_metadata"]["mlflow.trace.user"] == '{"a": 1}'
        assert info["tags"]["mlflow.traceName"] == '"quoted"'

    def test_too_long_for_mlflow(self, to_mlflow: MlflowDestination, mlflow_server: Server) -> None:
        """What MLflow has no room for is cut with a mark, and the trace arrives; two long sessions stay two."""
        traces = [new_trace(), new_trace()]
        for index, trace in enumerate(traces):
            labels = {
                "session.id": "s" * 300 + str(index),
                "user.id": "u" * 9000,
                "autotrace.request.id": "r" * 99,
                "autotrace.tags": json.dumps({"k" * 400: "v" * 9000, "a//b/../c?": "v"}),
                "autotrace.trace.name": "n" * 5000,
                "gen_ai.input.messages": said("user", "q" * 5000),
            }
            assert to_mlflow.deliver([chat(trace, 2, 1, **labels), agent(trace, **labels)], RESOURCE) == []
        infos = [mlflow_server.info(trace) for trace in traces]
        sessions = [info["trace_metadata"]["mlflow.trace.session"] for info in infos]
        assert [len(session) for session in sessions] == [250, 250]
        assert "…" in sessions[0]
        assert sessions[0] != sessions[1]
        assert len(infos[0]["client_request_id"]) == 50
        assert (len(infos[0]["request_preview"]), infos[0]["request_preview"][-1]) == (1000, "…")
        assert len(infos[0]["tags"]["mlflow.traceName"]) == 250
        assert infos[0]["tags"]["a/_/b/_/c_"] == "v"
        assert to_mlflow.rejected == 0

    def test_a_bad_trace_among_good_ones(
        self, to_mlflow: MlflowDestination, mlflow_server: Server, experiment: str
    ) -> None:
        """A trace that the server refuses is counted, and all others arrive."""
        good, bad = [new_trace() for _ in range(9)], new_trace()
        records = [chat(trace, 1) for trace in good]
        records.insert(4, span(bad, 1, None, {}, start=2**63 + 5, end=2**63 + 9))
        left = to_mlflow.deliver(records, RESOURCE)
        assert [mlflow_server.knows(trace) for trace in good] == [True] * 9
        assert mlflow_server.metric(experiment, "SPANS", "span_count", how="COUNT") == {(): 9}
        assert (left, to_mlflow.rejected) == ([], 1)

    def test_a_span_that_cannot_be_read(self, to_mlflow: MlflowDestination, mlflow_server: Server) -> None:
        """A damaged span is counted, with its trace, and holds up no other."""
        good, bad = new_trace(), new_trace()
        broken = Record("E", bad, f"{1:016x}", {**span(bad).body, "attributes": None})
        assert to_mlflow.deliver([broken, chat(good, 1)], RESOURCE) == []
        assert (mlflow_server.knows(good), to_mlflow.rejected) == (True, 1)


class TestPartsOfTraces:
    """A trace whose root is elsewhere, or came later, or never came."""

    def test_children_before_the_root(self, to_mlflow: MlflowDestination, mlflow_server: Server) -> None:
        """What comes before its root waits as running, and is whole once the root has come."""
        trace = new_trace()
        to_mlflow.deliver([chat(trace, 2, 1)], RESOURCE)
        assert mlflow_server.info(trace)["state"] == "IN_PROGRESS"
        to_mlflow.deliver([chat(trace, 3, 1), agent(trace)], RESOURCE)
        info = mlflow_server.info(trace)
        assert (info["state"], tokens(info)) == ("OK", (200, 20, 220))

    def test_spans_after_the_root(self, to_mlflow: MlflowDestination, mlflow_server: Server) -> None:
        """Tokens of a span that ends after its root are added to the trace."""
        trace = new_trace()
        to_mlflow.deliver([chat(trace, 2, 1), agent(trace)], RESOURCE)
        to_mlflow.deliver([chat(trace, 3, 1, (1, 2))], RESOURCE)
        info = mlflow_server.info(trace)
        assert (info["state"], tokens(info)) == ("OK", (101, 12, 113))

    def test_a_root_in_another_process(self, to_mlflow: MlflowDestination, mlflow_server: Server) -> None:
        """A trace whose root nobody sends is over all the same, with a name, previews, tags and a session."""
        trace = new_trace()
        labels = {"session.id": "s-2", "autotrace.tags": '{"plan":"pro"}'}
        root = chat(trace, 2, 77, **labels)
        root.body["root"] = True
        to_mlflow.deliver([root], RESOURCE)
        info = mlflow_server.info(trace)
        assert (info["state"], info["request_preview"], info["response_preview"]) == ("OK", "Why?", "Because.")
        assert (info["tags"]["mlflow.traceName"], info["tags"]["plan"]) == ("chat gpt-4o-mini", "pro")
        assert (info["trace_metadata"]["mlflow.trace.session"], tokens(info)) == ("s-2", (100, 10, 110))

    @pytest.mark.parametrize("is_first", [True, False], ids=["root-first", "root-last"])
    def test_two_processes(self, to_mlflow: MlflowDestination, mlflow_server: Server, is_first: bool) -> None:
        """Of two processes that share a trace the one with the root says what it is called; tokens of both count."""
        trace = new_trace()
        there = chat(trace, 5, 1, (40, 4))
        there.body["root"] = True
        here = [chat(trace, 2, 1), agent(trace)]
        for part in (here, [there]) if is_first else ([there], here):
            to_mlflow.deliver(part, RESOURCE)
        info = mlflow_server.info(trace)
        assert (info["tags"]["mlflow.traceName"], info["request_preview"]) == ("guide", "Where to?")
        assert info["execution_duration"] == "0.998s"
        assert tokens(info) == (140, 14, 154)

    def test_interrupted(self, to_mlflow: MlflowDestination, mlflow_server: Server) -> None:
        """A trace whose process is gone is an error that says so, and not running for ever."""
        trace = new_trace()
        to_mlflow.deliver([chat(trace, 2, 1)], RESOURCE)
        root = span(trace, 1, None, {"input.value": "Where to?", "session.id": "s-3"}, kind="I")
        to_mlflow.deliver([root], RESOURCE)
        info = mlflow_server.info(trace)
        assert (info["state"], info["request_preview"]) == ("ERROR", "Where to?")
        assert info["response_preview"].startswith("interrupted")
        assert info["trace_metadata"]["autotrace.outcome"] == "interrupted"
        assert (info["trace_metadata"]["mlflow.trace.session"], tokens(info)) == ("s-3", (100, 10, 110))


class TestExperiments:
    """Where traces go."""

    def test_made_by_name(self, to_mlflow: MlflowDestination, mlflow_server: Server, experiment: str) -> None:
        """An experiment that is not there is made, as one that MLflow shows traces of first."""
        to_mlflow.deliver([chat(new_trace(), 1)], RESOURCE)
        number = mlflow_server.experiment_id(experiment)
        found = mlflow_server.call("GET", f"experiments/get?experiment_id={number}", version="2.0")["experiment"]
        assert {"key": "mlflow.experimentKind", "value": "genai_development"} in found["tags"]

    def test_made_by_several_at_once(self, make_mlflow: Make, mlflow_server: Server, experiment: str) -> None:
        """Of processes that begin together each finds the experiment that one of them has made."""
        traces = [new_trace() for _ in range(6)]

        def deliver(trace: str) -> None:
            destination = make_mlflow(MLFLOW_TRACKING_URI=mlflow_server.url, MLFLOW_EXPERIMENT_NAME=experiment)
            destination.deliver([chat(trace, 1)], RESOURCE)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(deliver, traces))
        assert len(mlflow_server.search(experiment)) == 6

    def test_by_id_and_by_default(self, make_mlflow: Make, mlflow_server: Server, experiment: str) -> None:
        """An id is used as it is, and without any name traces go to MLflow's default experiment."""
        made = mlflow_server.call("POST", "experiments/create", {"name": experiment}, version="2.0")["experiment_id"]
        for number, expected in (({"MLFLOW_EXPERIMENT_ID": made}, made), ({}, "0")):
            trace = new_trace()
            make_mlflow(MLFLOW_TRACKING_URI=mlflow_server.url, **number).deliver([chat(trace, 1)], RESOURCE)
            location = mlflow_server.info(trace)["trace_location"]
            assert location["mlflow_experiment"]["experiment_id"] == expected

    def test_none_with_that_id(self, make_mlflow: Make, mlflow_server: Server) -> None:
        """An id that is not there is told, and nothing is lost."""
        destination = make_mlflow(MLFLOW_TRACKING_URI=mlflow_server.url, MLFLOW_EXPERIMENT_ID="987654")
        with pytest.raises(RetryLater, match="no experiment with the id '987654': check MLFLOW_EXPERIMENT_ID"):
            destination.deliver([chat(new_trace(), 1)], RESOURCE)
        assert destination.rejected == 0

    def test_deleted_meanwhile(self, to_mlflow: MlflowDestination, mlflow_server: Server, experiment: str) -> None:
        """An experiment that is deleted while a program runs takes no traces: that is told, with what to do."""
        to_mlflow.deliver([chat(new_trace(), 1)], RESOURCE)
        number = mlflow_server.experiment_id(experiment)
        mlflow_server.call("POST", "experiments/delete", {"experiment_id": number}, version="2.0")
        trace = new_trace()
        with pytest.raises(RetryLater, match=f"has been deleted: restore it .*--experiment-id {number}"):
            to_mlflow.deliver([chat(trace, 1)], RESOURCE)
        mlflow_server.call("POST", "experiments/restore", {"experiment_id": number}, version="2.0")
        assert to_mlflow.deliver([chat(trace, 1)], RESOURCE) == []
        assert len(mlflow_server.search(experiment)) == 2


class TestFeedback:
    """Feedback, expectations and later changes."""

    def test_feedback_and_expectations(
        self, to_mlflow: MlflowDestination, mlflow_server: Server, experiment: str
    ) -> None:
        """They are assessments with value, comment, source and metadata, of the trace or of one span."""
        trace = new_trace()
        given = [
            feedback(trace, comment="good", metadata={"channel": "web"}),
            feedback(trace, f"{2:016x}", name="score", value=0.5, source_type="llm_judge", source="gpt"),
            feedback(trace, name="topic", value="travel", source_type="code", source=None),
            feedback(trace, name="answer", type="expectation", value={"city": "Oslo"}),
            feedback(trace, name="length", type="expectation", value=3),
        ]
        assert to_mlflow.deliver([chat(trace, 2, 1), agent(trace), *given], RESOURCE) == []
        found = mlflow_server.client(
            f"result = [dict(name=a.name, value=a.value, comment=a.rationale, span=a.span_id, id=a.assessment_id,"
            f" source=[a.source.source_type, a.source.source_id], channel=(a.metadata or {{}}).get('channel'))"
            f" for a in client.get_trace('tr-{trace}').info.assessments]"
        )
        by_name = {one.pop("name"): one for one in found}
        ids = {record.body["name"]: assessment_id(record) for record in given}
        plain = {"comment": None, "span": None, "source": ["HUMAN", "alice"], "channel": None}
        assert by_name == {
            "thumb": {**plain, "value": True, "comment": "good", "channel": "web", "id": ids["thumb"]},
            "score": {**plain, "value": 0.5, "span": f"{2:016x}", "source": ["LLM_JUDGE", "gpt"], "id": ids["score"]},
            "topic": {**plain, "value": "travel", "source": ["CODE", "default"], "id": ids["topic"]},
            "answer": {**plain, "value": {"city": "Oslo"}, "id": ids["answer"]},
            "length": {**plain, "value": 3, "id": ids["length"]},
        }
        counts = mlflow_server.metric(experiment, "ASSESSMENTS", "assessment_count", "assessment_name", how="COUNT")
        assert counts[("thumb",)] == 1

    def test_given_again(self, to_mlflow: MlflowDestination, mlflow_server: Server) -> None:
        """The later one of an id counts, in whichever order and however often they come."""
        trace = new_trace()
        first = feedback(trace, comment="good")
        later = feedback(trace, id=first.body["id"], value=False, comment=None, time=first.body["time"] + 5)
        to_mlflow.deliver([agent(trace), first, first, later], RESOURCE)
        to_mlflow.deliver([first, later], RESOURCE)
        (found,) = mlflow_server.info(trace)["assessments"]
        assert found["feedback"] == {"value": False}
        assert not found.get("rationale")

    def test_another_source(self, to_mlflow: MlflowDestination, mlflow_server: Server) -> None:
        """What MLflow does not change in place is replaced: the source, or an expectation for feedback."""
        trace = new_trace()
        first = feedback(trace)
        time_ns = first.body["time"]
        other = feedback(trace, id=first.body["id"], source="carol", time=time_ns + 5)
        kind = feedback(trace, id=first.body["id"], type="expectation", source="carol", time=time_ns + 9)
        to_mlflow.deliver([agent(trace), first, other], RESOURCE)
        (found,) = mlflow_server.info(trace)["assessments"]
        assert found["source"]["source_id"] == "carol"
        to_mlflow.deliver([kind], RESOURCE)
        (found,) = mlflow_server.info(trace)["assessments"]
        assert found["expectation"] == {"value": True}

    def test_before_its_trace(self, to_mlflow: MlflowDestination, mlflow_server: Server) -> None:
        """What is said of a trace that is not there comes back and holds up nothing; when it is there, it is taken."""
        trace, other = new_trace(), new_trace()
        early = [feedback(trace), update(trace, tags={"a": 1})]
        left = to_mlflow.deliver([*early, chat(other, 1)], RESOURCE)
        assert list(map(id, left)) == list(map(id, early))
        assert mlflow_server.knows(other)
        to_mlflow.deliver([agent(trace)], RESOURCE)
        assert to_mlflow.deliver(early, RESOURCE) == []
        assert len(mlflow_server.info(trace)["assessments"]) == 1

    def test_its_trace_never_comes(self, to_mlflow: MlflowDestination) -> None:
        """After a day it is given up and counted."""
        old = time.time_ns() - DAY_NS - 1
        assert to_mlflow.deliver([feedback(new_trace(), time=old), update(new_trace(), time=old)], RESOURCE) == []
        assert to_mlflow.rejected == 2

    def test_no_feedback_at_all(self, to_mlflow: MlflowDestination, mlflow_server: Server) -> None:
        """A damaged record is counted, and what follows is taken."""
        trace = new_trace()
        broken = Record("F", trace, "0" * 16, {"id": "x", "time": NOW})
        assert to_mlflow.deliver([agent(trace), broken, feedback(trace)], RESOURCE) == []
        assert (to_mlflow.rejected, len(mlflow_server.info(trace)["assessments"])) == (1, 1)

    def test_later_changes(self, to_mlflow: MlflowDestination, mlflow_server: Server) -> None:
        """Name, tags, session and user follow; nothing else of the trace changes."""
        trace = new_trace()
        to_mlflow.deliver([chat(trace, 2, 1), agent(trace, **{"autotrace.request.id": "r"})], RESOURCE)
        before = mlflow_server.info(trace)
        said_later = update(trace, name="refund", session="s-5", user="eve", tags={"tier": "gold", "mlflow.user": "x"})
        assert to_mlflow.deliver([said_later], RESOURCE) == []
        after = mlflow_server.info(trace)
        assert (after["tags"]["mlflow.traceName"], after["tags"]["tier"]) == ("refund", "gold")
        metadata = after["trace_metadata"]
        assert (metadata["mlflow.trace.session"], metadata["mlflow.trace.user"]) == ("s-5", "eve")
        kept = (
            "state",
            "execution_duration",
            "request_time",
            "client_request_id",
            "request_preview",
            "response_preview",
        )
        assert {key: after[key] for key in kept} == {key: before[key] for key in kept}
        assert tokens(after) == tokens(before) == (100, 10, 110)
