"""Traces of the made-up shop's assistants, as the journal holds them: one function from a turn to its records."""

from __future__ import annotations

import random
from typing import Any

from page_conversation import Conversation
from page_growing import MODELS, Record, S, Trace, Turn, said, text
from page_words import Intent, Words, definitions

ZEROS = "0" * 16


class Maker:
    """Makes traces; what a turn becomes depends on the seed and on the turn alone.

    Args:
        seed: Decides everything.
        words: What is said.
    """

    def __init__(self, seed: int, words: Words) -> None:
        self._seed = seed
        self._words = words
        self._weights = [model.weight for model in MODELS]
        self._offers = [definitions(intent.tools) if intent.tools else "" for intent in words.intents]
        self._offer_of = dict(zip((intent.name for intent in words.intents), self._offers, strict=True))

    def trace(self, turn: Turn) -> list[Record]:
        """The records of one trace: its spans, and feedback where somebody gave some."""
        chance = random.Random(self._seed << 40 | turn.number)
        model = chance.choices(MODELS, self._weights)[0]
        made = Trace(self._words, chance, turn, f"{chance.getrandbits(128):032x}", model, turn.start_ns)
        if turn.session:
            made.labels["session.id"] = session_name(turn.session[0])
        if turn.user:
            made.labels["user.id"] = turn.user
        history, intent, question = self._asked(turn, chance)
        conversation = Conversation(made, intent, question, history, self._offer_of[intent.name])
        outcome = conversation.run()
        opinion = self._opinion(made, outcome)
        return made.records if opinion is None else [*made.records, opinion]

    def _asked(self, turn: Turn, chance: random.Random) -> tuple[list[dict[str, Any]], Intent, str]:
        """What was said before in the session, what is wanted now, and the question."""
        history: list[dict[str, Any]] = []
        if turn.session is None:
            intent = self._words.intent(chance)
            question = self._words.question(chance, intent)
        else:
            session, place = turn.session
            own = random.Random(self._seed << 40 | 1 << 39 | session)
            intent = self._words.intent(own)
            for number in range(place + 1):
                if number and own.random() < 0.4:
                    intent = self._words.intent(own)
                question = self._words.question(own, intent)
                reply = self._words.answer(own, 3)
                if place - 4 <= number < place:
                    history += [said("user", text(question)), said("assistant", text(reply), finish_reason="stop")]
        if turn.rare:
            question = f"{question} ({turn.rare})"
        return history, intent, question

    def _opinion(self, made: Trace, outcome: str) -> Record | None:
        chance = made.chance
        if made.turn.user is None or chance.random() > 0.04:
            return None
        liked = {"ok": 0.86, "error": 0.1, "interrupted": 0.1}.get(outcome, 0.25)
        liked -= 0.35 * made.turn.is_bad + 0.2 * (made.model.failing > 1)
        is_up = chance.random() < liked
        body = {
            "id": f"{chance.getrandbits(128):032x}",
            "type": "feedback",
            "name": "feedback",
            "value": is_up,
            "comment": self._words.comment(chance, is_up) if chance.random() < (0.25 if is_up else 0.6) else None,
            "source_type": "human",
            "source": made.turn.user,
            "time": made.now + chance.randrange(2, 50) * S,
            "metadata": {"channel": chance.choice(("web", "app"))},
        }
        return Record("F", made.trace_id, ZEROS, body)


def session_name(number: int) -> str:
    """A session's id."""
    return f"s-{number * 2654435761 % 2**32:08x}"
