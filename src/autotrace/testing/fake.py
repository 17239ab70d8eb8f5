"""The fake framework, under any name."""

from __future__ import annotations

import shutil
from pathlib import Path

_SOURCE = Path(__file__).parent / "framework"


def fake_framework(name: str, folder: Path, version: str = "1.0.0") -> Path:
    """Puts the fake framework into a folder as the installed package `name`; answers that folder, for `sys.path`.

    It has calls in every shape (`Client.complete`, `complete_async`, `later`, `words`, `words_async`, `stream`,
    `stream_async`, `batch`, static and class methods, a plain function) and reports of its own steps (`Pipeline`,
    `Bus`); its folder `framework` beside this module is short enough to be read.

    Example:
        >>> import sys, tempfile
        >>> sys.path.insert(0, str(fake_framework("parrot", Path(tempfile.mkdtemp()))))
        >>> import parrot
        >>> parrot.Client().complete("hello").text
        'HELLO'

    Args:
        name: What it is imported as.
        folder: Where it is put; made when it is not there.
        version: What its metadata say.
    """
    shutil.copytree(_SOURCE, folder / name, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    metadata = folder / f"{name}-{version}.dist-info"
    metadata.mkdir(exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    (metadata / "METADATA").write_text(text, encoding="utf-8")
    return folder
