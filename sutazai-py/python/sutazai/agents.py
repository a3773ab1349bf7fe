"""Agents: annotated functions whose parameters are the properties of a task's payload."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import re
import typing
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast, overload

from typing_extensions import ParamSpec

from .errors import InvalidInputError
from .types import JsonIn, Seconds, TaskDefaults, seconds_of, text_of

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_UNCHANGED: Any = object()


@dataclass(frozen=True)
class NewTask(Generic[R_co]):
    """A task that is not submitted yet: an agent, its payload and the options of the task. A priority, a timeout or a
    number of attempts that is `None` is the agent's, as the engine that gets the task knows it."""

    agent: str
    payload: JsonIn = field(default_factory=dict[str, JsonIn])
    title: str = ""
    description: str = ""
    priority: int | None = None
    timeout: Seconds | None = None
    max_attempts: int | None = None
    run_at: datetime | None = None
    idempotency_key: str | None = None
    unique_key: str | None = None
    _decode: Callable[[bytes], R_co] | None = field(default=None, repr=False, compare=False)

    def but(
        self,
        *,
        title: str = _UNCHANGED,
        description: str = _UNCHANGED,
        priority: int | None = _UNCHANGED,
        timeout: Seconds | None = _UNCHANGED,
        max_attempts: int | None = _UNCHANGED,
        run_at: datetime | None = _UNCHANGED,
        idempotency_key: str | None = _UNCHANGED,
        unique_key: str | None = _UNCHANGED,
    ) -> NewTask[R_co]:
        """Returns this task with other options."""
        given: dict[str, Any] = {
            "title": title,
            "description": description,
            "priority": priority,
            "timeout": timeout,
            "max_attempts": max_attempts,
            "run_at": run_at,
            "idempotency_key": idempotency_key,
            "unique_key": unique_key,
        }
        return dataclasses.replace(self, **{name: value for name, value in given.items() if value is not _UNCHANGED})

    def to_dict(self) -> dict[str, Any]:
        """Returns the task as the JSON object that the engine and the HTTP API take."""
        return {
            "agent": self.agent,
            "payload": self.payload,
            "title": self.title,
            "description": self.description,
            "priority": self.priority,
            "timeout_seconds": None if self.timeout is None else _whole_seconds(self.timeout),
            "max_attempts": self.max_attempts,
            "run_at": text_of(self.run_at) if self.run_at else None,
            "idempotency_key": self.idempotency_key,
            "unique_key": self.unique_key,
        }


def _whole_seconds(duration: Seconds) -> int:
    return max(1, round(seconds_of(duration)))


def decoder_of(result: Any) -> Callable[[bytes], Any] | None:
    """Returns the function that reads results of this type; `None` for plain JSON."""
    if result is None or result is Any:
        return None
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(result)
    return adapter.validate_json


class _Payload:
    """Payload of an agent: reads the arguments of its function from JSON, and writes them."""

    def __init__(self, function: Callable[..., Any], hints: Mapping[str, Any]) -> None:
        from pydantic import ConfigDict, Field, TypeAdapter, create_model

        self.signature = inspect.signature(function)
        parameters = list(self.signature.parameters.values())
        for parameter in parameters:
            where = f"agent {function.__qualname__}: parameter {parameter.name!r}"
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise TypeError(f"{where} takes any number of arguments; expected a list or a mapping")
            if parameter.name not in hints:
                raise TypeError(f"{where} has no annotation; expected the type of its value")
        # One positional-only parameter is the payload itself.
        self.is_whole = len(parameters) == 1 and parameters[0].kind is inspect.Parameter.POSITIONAL_ONLY
        self.names = [parameter.name for parameter in parameters]
        if self.is_whole:
            self.adapter: TypeAdapter[Any] = TypeAdapter(hints[self.names[0]])
        else:
            # Internal names, because a parameter may be called like a method of the model.
            fields: dict[str, Any] = {}
            for number, parameter in enumerate(parameters):
                is_required = parameter.default is parameter.empty
                default = ... if is_required else parameter.default
                fields[f"p{number}"] = (hints[parameter.name], Field(default, alias=parameter.name))
            model = create_model("Payload", __config__=ConfigDict(extra="forbid"), **fields)
            self.adapter = TypeAdapter(model)
        self.schema: dict[str, Any] = self.adapter.json_schema()
        self.schema.pop("title", None)

    def of_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Returns the payload with these arguments as JSON; what is left out gets its default when the agent runs."""
        given = self.signature.bind(*args, **kwargs).arguments
        value = given[self.names[0]] if self.is_whole and given else given
        from pydantic import ValidationError

        try:
            valid = self.adapter.validate_python(value)
        except ValidationError as e:
            raise invalid_payload(e) from e
        return self.adapter.dump_python(valid, mode="json", by_alias=True, exclude_unset=not self.is_whole)

    def arguments(self, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Reads the arguments of the function from a payload."""
        value = self.adapter.validate_json(payload)
        if self.is_whole:
            return (value,), {}
        values = (getattr(value, f"p{number}") for number in range(len(self.names)))
        bound = dict(zip(self.names, values))
        positional = [
            bound.pop(name)
            for name, parameter in self.signature.parameters.items()
            if parameter.kind is inspect.Parameter.POSITIONAL_ONLY
        ]
        return tuple(positional), bound


def invalid_payload(error: ValidationError) -> InvalidInputError:
    """Returns the error that names the invalid part of a payload, as the engine does."""
    first = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(str(part) for part in ("payload", *first["loc"]))
    return InvalidInputError(first["msg"], field=path)


class Agent(Generic[P, R]):
    """A function that the engine runs for tasks. `task` creates them; a call runs the function itself."""

    name: str
    description: str
    capabilities: tuple[str, ...]
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None
    defaults: TaskDefaults
    is_async: bool
    uses_model: bool
    interrupt: bool

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        capabilities: Sequence[str] = (),
        timeout: Seconds = 300,
        max_attempts: int = 3,
        priority: int = 5,
        admin_only: bool = False,
        uses_model: bool = False,
        interrupt: bool = True,
    ) -> None:
        functools.update_wrapper(cast(Any, self), function)
        self.function = function
        self.name = name if name is not None else re.sub(r"_+", "-", function.__name__.strip("_")).lower()
        first_line = (inspect.getdoc(function) or "").partition("\n")[0]
        self.description = description or first_line or f"Runs {function.__qualname__}."
        self.capabilities = tuple(capabilities)
        self.is_async = inspect.iscoroutinefunction(function)
        self.interrupt = interrupt
        self.defaults = TaskDefaults(priority, _whole_seconds(timeout), max_attempts)
        self._admin_only = admin_only
        self.uses_model = uses_model
        hints = typing.get_type_hints(function, include_extras=True)
        result = hints.pop("return", Any)
        self._payload = _Payload(function, hints)
        self.input_schema = self._payload.schema
        self.output_schema = None
        self._result: TypeAdapter[Any] | None = None
        if result is not Any:
            from pydantic import TypeAdapter

            self._result = TypeAdapter(type(None) if result is None else result)
            self.output_schema = self._result.json_schema(mode="serialization")

    def task(self, *args: P.args, **kwargs: P.kwargs) -> NewTask[R]:
        """Creates a task of this agent with these arguments, which are checked now.

        Raises `InvalidInputError` naming the argument, or `TypeError` for one that the function does not have.
        """
        decode = self._result.validate_json if self._result else None
        payload = self._payload.of_arguments(args, kwargs)
        return NewTask(agent=self.name, payload=payload, _decode=decode)

    def arguments(self, payload: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Reads the arguments of the function from the JSON of a payload."""
        return self._payload.arguments(payload)

    def write_result(self, result: Any) -> bytes:
        """Writes a result of the function as JSON."""
        if self._result:
            return self._result.dump_json(result, by_alias=True, warnings=False)
        return json.dumps(result).encode()

    def declaration(self) -> dict[str, Any]:
        """Returns the description of the agent for the engine."""
        return {
            "name": self.name,
            "description": self.description,
            "capabilities": self.capabilities,
            "input_schema": self.input_schema,
            "output_schema": self.output_schema,
            "defaults": self.defaults.to_dict(),
            "is_async": self.is_async,
            "admin_only": self._admin_only,
            "uses_model": self.uses_model,
        }

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class SyncAgent(Agent[P, R]):
    """An agent that is a function; the engine runs it on a thread."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)  # type: ignore[no-any-return]


class AsyncAgent(Agent[P, R]):
    """An agent that is a coroutine function; the engine runs it on an event loop."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        return self.function(*args, **kwargs)  # type: ignore[no-any-return]


class AgentDecorator(Protocol):
    """Decorator with options: makes an agent of a function."""

    # A coroutine function fits both; the first that fits is taken.
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncAgent[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> SyncAgent[P, R]: ...


@overload
def agent(function: Callable[P, Coroutine[Any, Any, R]], /) -> AsyncAgent[P, R]: ...  # type: ignore[overload-overlap]
@overload
def agent(function: Callable[P, R], /) -> SyncAgent[P, R]: ...
@overload
def agent(
    *,
    name: str | None = None,
    description: str | None = None,
    capabilities: Sequence[str] = (),
    timeout: Seconds = 300,
    max_attempts: int = 3,
    priority: int = 5,
    admin_only: bool = False,
    uses_model: bool = False,
    interrupt: bool = True,
) -> AgentDecorator: ...
def agent(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Makes an agent of an annotated function, or returns the decorator with these options.

    The parameters are the properties of the payload; one positional-only parameter is the payload itself. `timeout`,
    `max_attempts` and `priority` are those of its tasks that are submitted without, from Python, over HTTP or by a
    schedule. An agent with `uses_model=True` has
    `current().model`, and its tasks need the permission to use models. With `interrupt=False` a thread that ignores its
    cancellation is not interrupted by an exception.
    """

    def decorate(function: Callable[..., Any]) -> Agent[..., Any]:
        if inspect.iscoroutinefunction(function):
            return AsyncAgent[..., Any](function, **options)
        return SyncAgent[..., Any](function, **options)

    return decorate if function is None else decorate(function)
