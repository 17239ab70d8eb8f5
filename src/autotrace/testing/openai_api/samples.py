"""What the model makes up: an image, a sound, a value for a schema."""

from __future__ import annotations

import base64
from typing import Any

PNG = base64.b64encode(
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"
).decode()

AUDIO = b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(range(256)) * 8


def sample(schema: Any, seed: str, root: Any = None, depth: int = 0) -> Any:
    """A value that fits a simple JSON schema."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > 8:
        return None
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        definitions = root.get("$defs") or root.get("definitions") or {}
        return sample(definitions.get(name), seed, root, depth + 1)
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return sample(schema[union][0], seed, root, depth + 1)
    if "const" in schema or "enum" in schema:
        return schema["const"] if "const" in schema else schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        members = (schema.get("properties") or {}).items()
        return {name: sample(member, f"{name}-{seed}", root, depth + 1) for name, member in members}
    if kind == "array":
        return [sample(schema.get("items"), f"{seed}-{i}", root, depth + 1) for i in range(0 if depth > 5 else 2)]
    plain = {"integer": 7, "number": 2.5, "boolean": True, "null": None}
    return plain.get(kind, seed)
