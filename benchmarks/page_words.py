"""What customers of a made-up shop ask, and what its assistant says, finds and is told: material for `page_store`."""

from __future__ import annotations

import random
import re
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import orjson

_SECTIONS = re.compile(r"^\[(.+)\]\n((?:(?!\[).*\n?)*)", re.MULTILINE)


def _lists() -> dict[str, list[str]]:
    """The sections of page_words.txt: a text in quotes each line, or words."""
    found = {}
    for name, content in _SECTIONS.findall(Path(__file__).with_suffix(".txt").read_text(encoding="utf-8")):
        lines = content.strip().splitlines()
        is_words = name != "intents" and not content.startswith('"')
        found[name] = content.split() if is_words else [line.strip('"') for line in lines]
    return found


_LISTS = _lists()
CITIES, CARRIERS, LANGUAGES, REFUSALS = (_LISTS[name] for name in ("cities", "carriers", "languages", "refusals"))


class Intent(NamedTuple):
    """One thing that people want: how they put it, and the tools that help."""

    name: str
    tools: tuple[str, ...]
    templates: tuple[str, ...]


class Words:
    """Fills templates, by a source of chance that each caller brings; what is large is made once, from the seed.

    Args:
        seed: Decides which products, sentences and articles there are.
    """

    def __init__(self, seed: int) -> None:
        chance = random.Random(f"words {seed}")
        brands = ["".join(chance.choices(_LISTS["syllables"], k=chance.choice((2, 3)))).title() for _ in range(150)]
        self.products = [
            f"{chance.choice(brands)} {chance.choice(_LISTS['adjectives'])} {chance.choice(_LISTS['nouns'])}"
            for _ in range(1500)
        ]
        self.names = [
            f"{chance.choice(_LISTS['first names'])} {chance.choice(_LISTS['last names'])}" for _ in range(600)
        ]
        self.intents = [_intent(line) for line in _LISTS["intents"]]
        # A few are asked all the time, many now and then.
        self._popular = list(accumulate(1 / rank**0.9 for rank in range(1, len(self.intents) + 1)))
        self._by_demand = [1 / rank**0.7 for rank in range(1, len(self.products) + 1)]
        self._product_weights = list(accumulate(self._by_demand))
        self.sentences = [self.filled(chance, chance.choice(_LISTS["sentences"])) for _ in range(20_000)]
        self.articles = [self._article(chance, number) for number in range(400)]
        self.instructions = [self._instructions(chance, number) for number in range(8)]

    def intent(self, chance: random.Random) -> Intent:
        """What somebody wants."""
        return chance.choices(self.intents, cum_weights=self._popular)[0]

    def product(self, chance: random.Random) -> str:
        """A product; some are in demand."""
        return chance.choices(self.products, cum_weights=self._product_weights)[0]

    def question(self, chance: random.Random, intent: Intent) -> str:
        """One way to put it."""
        template = chance.choice(_LISTS["before"]) + chance.choice(intent.templates) + chance.choice(_LISTS["after"])
        words = self.filled(chance, template).split(" ")
        if chance.random() < 0.4:
            words.insert(chance.randrange(len(words)), chance.choice(_LISTS["inserted"]))
        if chance.random() < 0.15 and len(words) > 4:
            words.pop(chance.randrange(len(words)))
        text = " ".join(words)
        return text.lower() if chance.random() < 0.3 else text[:1].upper() + text[1:]

    def answer(self, chance: random.Random, sentences: int) -> str:
        """What the assistant says: one sentence of its own, the others as it always says them."""
        said = chance.sample(self.sentences, sentences)
        said[0] = self.filled(chance, chance.choice(_LISTS["sentences"]))
        return " ".join((*said, chance.choice(_LISTS["remarks"])))

    def comment(self, chance: random.Random, is_up: bool) -> str:
        """What somebody writes beside the thumb."""
        return self.filled(chance, chance.choice(_LISTS["up" if is_up else "down"]))

    def filled(self, chance: random.Random, template: str) -> str:
        """A template with something in each of its places."""
        if "{" not in template:
            return template
        return template.format_map(_Places(self, chance))

    def records(self, chance: random.Random, tool: str, count: int) -> list[dict[str, Any]]:
        """What a tool of the shop gives back."""
        return [self._record(chance, tool) for _ in range(count)]

    def _record(self, chance: random.Random, tool: str) -> dict[str, Any]:
        number, product = chance.getrandbits(40), self.product(chance)
        street = chance.choice(_LISTS["streets"])
        return {
            "id": f"{tool[:3]}_{number:010x}",
            "sku": f"{product[:3].upper()}-{number % 99991:05d}",
            "title": product,
            "price": {"amount": number % 49900 / 100, "currency": "EUR"},
            "customer": chance.choice(self.names),
            "address": f"{number % 190 + 1} {street} Street, {number % 90000 + 10000} {chance.choice(CITIES)}",
            "carrier": chance.choice(CARRIERS),
            "updated_at": _date(number) + f"T{number % 24:02d}:{number % 60:02d}:{number % 59:02d}Z",
            "note": chance.choice(self.sentences),
        }

    def _article(self, chance: random.Random, number: int) -> dict[str, Any]:
        title = f"{self.product(chance)}: {chance.choice(self.intents).name.replace('_', ' ')}"
        return {"id": f"kb-{number:04d}", "title": title, "text": " ".join(chance.sample(self.sentences, 9))}

    def _instructions(self, chance: random.Random, number: int) -> str:
        rules = " ".join(f"{place}. {sentence}" for place, sentence in enumerate(chance.sample(self.sentences, 13), 1))
        return (
            f"You are the assistant of a shop (revision {number}). Be brief and exact. Use the tools. Examples: {rules}"
        )


class _Places(dict[str, str]):
    """The places of a template, filled when they are asked for."""

    def __init__(self, words: Words, chance: random.Random) -> None:
        super().__init__()
        self._words = words
        self._chance = chance

    def __missing__(self, name: str) -> str:
        chance = self._chance
        number = chance.getrandbits(32)
        if name in ("product", "product2"):
            return self._words.product(chance)
        if name == "name":
            return chance.choice(self._words.names)
        if name == "city":
            return CITIES[number % len(CITIES)]
        if name == "carrier":
            return CARRIERS[number % len(CARRIERS)]
        if name == "phrase":
            return _LISTS["phrases"][number % len(_LISTS["phrases"])]
        if name == "email":
            first, _, last = chance.choice(self._words.names).lower().partition(" ")
            return f"{first}.{last}{number % 97}@example.com"
        return _made(name, number)


def _made(name: str, number: int) -> str:
    """A number or an identifier of a kind."""
    if name == "order":
        return f"A-{number % 9_000_000 + 1_000_000}"
    if name == "ticket":
        return f"T{number % 900_000 + 100_000}"
    if name == "amount":
        return f"{number % 40000 / 100 + 5:.2f} EUR"
    if name == "code":
        return f"SAVE{number % 36**4:05d}"
    if name == "date":
        return _date(number)
    return str(number % 8 + 2)


def _date(number: int) -> str:
    return f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d}"


def _intent(line: str) -> Intent:
    name, tools, templates = line.split(";", 2)
    return Intent(name.strip(), tuple(tools.split()), tuple(templates.strip().split("|")))


def definitions(tools: tuple[str, ...]) -> str:
    """The tools that a model is offered, as JSON."""
    return orjson.dumps(
        [
            {
                "type": "function",
                "function": {
                    "name": tool,
                    "description": f"The shop's {tool.replace('_', ' ')}: call it with what the customer has said.",
                    "parameters": {
                        "type": "object",
                        "properties": {"query": {"type": "string"}, "limit": {"type": "integer", "default": 3}},
                        "required": ["query"],
                    },
                },
            }
            for tool in tools
        ]
    ).decode()
