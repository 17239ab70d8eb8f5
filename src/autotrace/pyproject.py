"""The nearest pyproject.toml. Never raises: what cannot be read or understood is a problem to tell of, or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .errors import ConfigError


def table(folder: Path | None, problems: list[ConfigError]) -> tuple[dict[str, Any], str]:
    """The `[tool.autotrace]` table of the nearest pyproject.toml, and that file's path.

    Args:
        folder: Where the search starts, upwards; the working directory when None.
        problems: Takes what was wrong with the file.
    """
    path, text = _nearest(folder, problems)
    return ({}, "") if path is None else (_parsed(text, path, problems), str(path))


def project(folder: Path | None = None) -> dict[str, str]:
    """`name` and `version` of `[project]` in the nearest pyproject.toml, as far as they stand there."""
    _, text = _nearest(folder, [])
    if "[project]" not in text:
        return {}
    try:
        found = _loads(text).get("project")
    except ValueError:  # no TOML
        return {}
    known = found if isinstance(found, dict) else {}
    values = {key: known.get(key) for key in ("name", "version")}
    return {key: value.strip() for key, value in values.items() if isinstance(value, str) and value.strip()}


def _nearest(folder: Path | None, problems: list[ConfigError]) -> tuple[Path | None, str]:
    """The file, and what is in it; nothing where there is none, or it cannot be read."""
    try:
        start = (folder or Path.cwd()).absolute()
    except OSError:  # the working directory is gone
        return None, ""
    for parent in (start, *start.parents):
        path = parent / "pyproject.toml"
        try:
            return path, path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, UnicodeDecodeError) as error:
            problems.append(ConfigError("[tool.autotrace]", str(path), f"the file cannot be read: {error}"))
            return path, ""
    return None, ""


def _loads(text: str) -> dict[str, Any]:
    try:
        import tomllib  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib  # type: ignore[import-not-found, no-redef, unused-ignore]
    found: dict[str, Any] = tomllib.loads(text)
    return found


def _parsed(text: str, path: Path, problems: list[ConfigError]) -> dict[str, Any]:
    if "autotrace" not in text:  # spares most programs the parser
        return {}
    try:
        found = _loads(text).get("tool", {}).get("autotrace", {})
    except (ValueError, AttributeError) as error:
        problems.append(ConfigError("[tool.autotrace]", str(path), f"the file is not valid TOML: {error}"))
        return {"capture_content": "off"}  # what it says of content is not known
    if not isinstance(found, dict):
        problems.append(ConfigError("[tool.autotrace]", str(path), f"{found!r} is not a table"))
        return {}
    return found
