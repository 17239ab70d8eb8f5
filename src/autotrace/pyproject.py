"""`[tool.autotrace]` in pyproject.toml. Never raises: what cannot be read or understood is a problem to tell of."""

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
    try:
        start = (folder or Path.cwd()).absolute()
    except OSError:  # the working directory is gone
        return {}, ""
    for parent in (start, *start.parents):
        path = parent / "pyproject.toml"
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, UnicodeDecodeError) as error:
            problems.append(ConfigError("[tool.autotrace]", str(path), f"the file cannot be read: {error}"))
            return {}, str(path)
        return _parsed(text, path, problems), str(path)
    return {}, ""


def _parsed(text: str, path: Path, problems: list[ConfigError]) -> dict[str, Any]:
    if "autotrace" not in text:  # spares most programs the parser
        return {}
    try:
        import tomllib  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib  # type: ignore[import-not-found, no-redef, unused-ignore]
    try:
        found = tomllib.loads(text).get("tool", {}).get("autotrace", {})
    except (tomllib.TOMLDecodeError, AttributeError) as error:
        problems.append(ConfigError("[tool.autotrace]", str(path), f"the file is not valid TOML: {error}"))
        return {"capture_content": "off"}  # what it says of content is not known
    if not isinstance(found, dict):
        problems.append(ConfigError("[tool.autotrace]", str(path), f"{found!r} is not a table"))
        return {}
    return found
