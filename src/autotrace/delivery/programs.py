"""The programs that serve, as data: what of their arguments tells that they do, and what that it is for a developer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from ..setting_values import TRUE


@dataclass(frozen=True, slots=True)
class Program:
    """One program that serves requests or tasks.

    Attributes:
        serving: Commands of it that serve; nothing: it does nothing else.
        developing: Commands and options by which it serves a developer.
        variables: Variables in which such options may stand too.
    """

    serving: frozenset[str] | None = None
    developing: frozenset[str] = frozenset()
    variables: tuple[str, ...] = ()


def _program(serving: str | None = None, developing: str = "", variables: str = "") -> Program:
    commands = None if serving is None else frozenset(serving.split())
    return Program(commands, frozenset(developing.split()), tuple(variables.split()))


#: By the name of the command, or of the module that Python runs with `-m`.
PROGRAMS = {
    "uvicorn": _program(None, "--reload"),
    "gunicorn": _program(None, "--reload", "GUNICORN_CMD_ARGS"),
    "hypercorn": _program(None, "--reload --debug"),
    "granian": _program(None, "--reload"),
    "daphne": _program(),
    "waitress-serve": _program(),
    "waitress": _program(),
    "fastapi": _program("run", "dev --reload"),
    "litestar": _program("run", "--reload --debug -r -d"),
    "flask": _program("", "run"),
    "quart": _program("", "run"),
    "manage": _program("", "runserver runserver_plus"),
    "django-admin": _program("", "runserver"),
    "langgraph": _program("", "dev"),
    "celery": _program("worker beat"),
    "mlflow": _program("serve"),
}
#: What MLflow's command `models serve` has uvicorn serve.
MLFLOW_APP = "mlflow.pyfunc.scoring_server.app:app"


def name_of(argv: Sequence[str]) -> str:
    """The name of the program by `sys.argv`: `uvicorn` for the command, and for `python -m uvicorn`."""
    path = PurePath(argv[0] if argv else "")
    name = path.parent.name if path.name == "__main__.py" else path.name
    return name.removesuffix(".exe").removesuffix(".py")


def developing(program: Program, name: str, argv: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """By what argument or variable a program serves a developer; None where by none."""
    for word in argv[1:]:
        if word in program.developing:
            return word
    for variable in program.variables:
        for word in environ.get(variable, "").split():
            if word in program.developing:
                return f"{word} in {variable}"
    # Commands made with click read their options from variables too.
    variable = f"{name.upper()}_RELOAD"
    return variable if environ.get(variable, "").strip().lower() in TRUE else None


def is_serving(program: Program, argv: Sequence[str]) -> bool:
    """Whether the program was started to serve."""
    return program.serving is None or not program.serving.isdisjoint(argv[1:])
