"""What happens between a question to one of the made-up shop's assistants and its answer."""

from __future__ import annotations

from typing import Any

import orjson
import page_failures as failures
from page_failures import Failure
from page_growing import S, Trace, said, text
from page_words import LANGUAGES, REFUSALS, Intent

#: In place of a failure: the process is gone.
_KILLED = Failure("killed", "", "")
_TENANTS = ("acme", "globex", "initech", "umbrella", "hooli", "acme", "acme", "globex")


class Conversation:
    """What happens between a question and its answer."""

    def __init__(self, made: Trace, intent: Intent, question: str, history: list[dict[str, Any]], offer: str) -> None:
        self._made = made
        self._intent = intent
        self._question = question
        self._messages = [*history, said("user", text(question))]
        self._offer = offer
        self._chance = made.chance
        self._has_stream = made.chance.random() < 0.6
        self._answer = ""
        instructions = made.words.instructions
        self._instructions = orjson.dumps([text(instructions[len(offer) % len(instructions)])]).decode()
        self._fate = self._drawn()

    def run(self) -> str:
        """Makes the spans, and says how it went: `ok`, `error`, `interrupted`, `refused`, ..."""
        made, chance = self._made, self._chance
        is_found = self._intent.tools[:1] == ("search_knowledge",) or made.turn.setting[1] == "handbook-search"
        shape = "rag" if is_found else "agent" if self._intent.tools else "chat"
        if shape == "agent" and chance.random() < 0.21:
            shape = "chat"
        is_request = chance.random() < (0.35 if shape == "chat" else 0.95)
        if is_request:
            self._request("POST /ask" if shape == "rag" else "POST /chat")
        failure: Failure | None = getattr(self, f"_{shape}")()
        if failure is _KILLED:
            made.interrupt()
            return "interrupted"
        if is_request:
            status = 200 if failure is None else 500
            answer = {} if failure else {"output.value": self._answer, "output.mime_type": "text/plain"}
            made.end({"http.response.status_code": status, **answer}, failure)
        return self._fate if failure is None else "error"

    def _drawn(self) -> str:
        """What is to become of it."""
        made = self._made
        worse = (4.0 if made.turn.is_bad else 1.0) * made.model.failing
        fates = {"model": 0.011, "tool": 0.008, "handled": 0.008, "retried": 0.012, "truncated": 0.008, "empty": 0.003}
        weights = {name: share * worse for name, share in fates.items()}
        weights |= {"looped": 0.008 * (6 if made.turn.is_bad else 1), "interrupted": 0.003, "refused": 0.006}
        if self._intent.name == "medical":
            weights["refused"] = 0.7
        draw = self._chance.random()
        for name, share in weights.items():
            draw -= share
            if draw < 0:
                return name
        return "ok"

    def _request(self, name: str) -> None:
        made = self._made
        attributes = {
            "openinference.span.kind": "CHAIN",
            "http.request.method": "POST",
            "url.path": name[5:],
            "http.route": name[5:],
            "autotrace.request.id": f"{self._chance.getrandbits(64):016x}",
            "input.value": self._question,
            "input.mime_type": "text/plain",
        }
        if self._chance.random() < 0.7:
            tags = {"tenant": _TENANTS[made.turn.number % len(_TENANTS)], "language": self._chance.choice(LANGUAGES)}
            if self._chance.random() < 0.3:
                tags["experiment"] = self._chance.choice(("baseline", "short-answers"))
            attributes["autotrace.tags"] = orjson.dumps(tags).decode()
        made.begin(name, "fastapi", attributes, "server")
        made.passes(2)

    def _chat(self) -> Failure | None:
        return self._final()

    def _rag(self) -> Failure | None:
        made = self._made
        made.begin(
            "invoke_workflow answer",
            "llama_index",
            {
                "gen_ai.operation.name": "invoke_workflow",
                "gen_ai.workflow.name": "answer",
                "openinference.span.kind": "CHAIN",
                "input.value": self._question,
            },
        )
        self._embedding()
        found = self._retrieval()
        self._messages[-1] = said("user", text(f"{self._question}\n\nContext:\n" + "\n\n".join(found)))
        failure = self._final()
        if failure is not _KILLED:
            made.end({} if failure else {"output.value": self._answer}, failure)
        return failure

    def _embedding(self) -> None:
        made = self._made
        tokens = len(self._question) // 4 + 1
        made.begin(
            "embeddings text-embedding-3-small",
            "openai",
            {
                "gen_ai.operation.name": "embeddings",
                "gen_ai.provider.name": "openai",
                "openinference.span.kind": "EMBEDDING",
                "gen_ai.request.model": "text-embedding-3-small",
                "gen_ai.response.model": "text-embedding-3-small",
                "input.value": self._question,
                "gen_ai.usage.input_tokens": tokens,
            },
            "client",
        )
        made.passes(90)
        made.end()

    def _retrieval(self) -> list[str]:
        made, chance = self._made, self._chance
        made.begin(
            "retrieval handbook",
            "llama_index",
            {
                "gen_ai.operation.name": "retrieval",
                "openinference.span.kind": "RETRIEVER",
                "gen_ai.data_source.id": "handbook",
                "input.value": self._question,
                "gen_ai.retrieval.query.text": self._question,
            },
            "client",
        )
        made.passes(140)
        articles = chance.sample(made.words.articles, 4)
        scores = sorted((round(chance.betavariate(5, 2), 4) for _ in articles), reverse=True)
        documents = [
            {"content": article["text"], "id": article["id"], "score": score, "metadata": {"title": article["title"]}}
            for article, score in zip(articles, scores, strict=True)
        ]
        scored = [{"id": one["id"], "score": one["score"]} for one in documents]
        made.end(
            {
                "gen_ai.retrieval.documents": orjson.dumps(scored).decode(),
                "output.value": orjson.dumps(documents).decode(),
                "output.mime_type": "application/json",
            }
        )
        return [article["text"] for article in articles[:3]]

    def _agent(self) -> Failure | None:
        made, chance = self._made, self._chance
        made.begin(
            "invoke_agent assistant",
            "langchain",
            {
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": "assistant",
                "openinference.span.kind": "AGENT",
                "input.value": self._question,
            },
        )
        made.passes(3)
        rounds = [[tool] for tool in self._intent.tools]
        if len(rounds) == 2 and chance.random() < 0.3:
            rounds = [[*self._intent.tools]]
        if self._fate == "looped":
            rounds[-1:] = [rounds[-1]] * chance.randrange(4, 9)
        arguments = self._arguments()
        for number, tools in enumerate(rounds):
            if number and self._fate != "looped":
                arguments = self._arguments()
            is_last = number == len(rounds) - 1
            failure = self._model(calls=[(tool, arguments) for tool in tools])
            for tool in tools:
                failure = failure or self._tool(tool, arguments, fails=is_last and self._fate in ("tool", "handled"))
            if failure is not None:
                break
        else:
            failure = self._final()
        if failure is not _KILLED:
            made.end({} if failure else {"output.value": self._answer}, failure)
        return failure

    def _arguments(self) -> dict[str, Any]:
        return {
            "query": self._made.words.filled(self._chance, "{order} {product}"),
            "limit": self._chance.randrange(1, 6),
        }

    def _tool(self, tool: str, arguments: dict[str, Any], fails: bool) -> Failure | None:
        made, chance = self._made, self._chance
        call = f"call_{chance.getrandbits(48):012x}"
        made.begin(
            f"execute_tool {tool}",
            "langchain",
            {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": tool,
                "openinference.span.kind": "TOOL",
                "gen_ai.tool.call.id": call,
                "gen_ai.tool.call.arguments": orjson.dumps(arguments).decode(),
            },
        )
        made.passes(60 + sum(tool.encode()) % 400)
        if fails:
            failure = failures.of_tool(chance, tool)
            made.end(None, failure)
            result: Any = {"error": failure.type, "message": failure.message}
        else:
            failure = None
            result = made.words.records(chance, tool, chance.randrange(3, 12))
            made.end({"gen_ai.tool.call.result": orjson.dumps(result).decode()})
        self._messages.append(said("tool", {"type": "tool_call_response", "id": call, "response": result}))
        return failure if self._fate == "tool" else None

    def _final(self) -> Failure | None:
        """The model's last word."""
        return self._model(calls=None)

    def _model(self, calls: list[tuple[str, dict[str, Any]]] | None) -> Failure | None:
        made, chance, model = self._made, self._chance, self._made.model
        asked = orjson.dumps(self._messages).decode()
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": model.provider,
            "gen_ai.system": model.provider,
            "gen_ai.request.model": model.name,
            "openinference.span.kind": "LLM",
            "gen_ai.request.temperature": 0.2,
            "gen_ai.request.max_tokens": 1024,
            "gen_ai.input.messages": asked,
            "gen_ai.system_instructions": self._instructions,
        }
        if self._offer:
            attributes["gen_ai.tool.definitions"] = self._offer
        if self._has_stream:
            attributes["gen_ai.request.stream"] = True
        body = made.begin(f"chat {model.name}", model.plugin, attributes, "client")
        if self._fate == "interrupted" and (calls is None or chance.random() < 0.5):
            return _KILLED
        if self._fate in ("model", "retried") and (calls is None or chance.random() < 0.4):
            failure = failures.of_model(chance, model.provider, model.name)
            for left in range(failure.retries - 1, -1, -1):
                made.passes(900)
                body["events"].append(failures.retry(made.now, left, failure.type.rpartition(".")[2], failure.status))
                if self._fate == "retried":
                    break
            made.passes(20_000 if "Timeout" in failure.type else 300)
            if self._fate == "model":
                made.end(None, failure)
                return failure
        self._reply(calls, len(asked) // 4 + 350)
        return None

    def _reply(self, calls: list[tuple[str, dict[str, Any]]] | None, tokens_in: int) -> None:
        made, chance, model = self._made, self._chance, self._made.model
        if calls:
            parts = [
                {"type": "tool_call", "id": f"call_{chance.getrandbits(48):012x}", "name": tool, "arguments": arguments}
                for tool, arguments in calls
            ]
            reason = "tool_call"
        else:
            parts, reason = self._last_words()
        message = said("assistant", *parts, finish_reason=reason)
        output = orjson.dumps([message]).decode()
        thought = chance.randrange(64, 900) if model.thinks else 0
        tokens_out = len(output) // 5 + thought
        slow = 1.7 if made.turn.is_bad else 1.0
        began = made.now
        made.passes(model.first_ms * slow * (1 + thought / 1000))
        first = made.now - began
        made.passes(1000 * slow * tokens_out / model.speed)
        found = {
            "gen_ai.response.model": model.name,
            "gen_ai.response.id": f"resp-{chance.getrandbits(64):016x}",
            "gen_ai.response.finish_reasons": [reason],
            "gen_ai.output.messages": output,
            "gen_ai.usage.input_tokens": tokens_in,
            "gen_ai.usage.output_tokens": tokens_out,
        }
        if self._has_stream:
            found["gen_ai.response.time_to_first_chunk"] = first / S
        if tokens_in > 1024 and chance.random() < 0.5:
            found["gen_ai.usage.cache_read.input_tokens"] = tokens_in // 128 * 128 * 3 // 4
        if thought:
            found["gen_ai.usage.reasoning.output_tokens"] = thought
        made.end(found)
        self._messages.append(message)

    def _last_words(self) -> tuple[list[dict[str, Any]], str]:
        chance = self._chance
        if self._fate == "refused":
            self._answer = chance.choice(REFUSALS)
            return [{"type": "refusal", "content": self._answer}], chance.choice(("stop", "content_filter"))
        if self._fate == "empty":
            return [], "stop"
        self._answer = self._made.words.answer(chance, chance.randrange(2, 9))
        if self._fate == "truncated":
            self._answer = self._answer[: -chance.randrange(20, 60)]
            return [text(self._answer)], "length"
        return [text(self._answer)], "stop"
