"""The names that a program starts with: few builtins, and modules that hold their public names only.

This gives an early and readable error where a program reaches for what it has no use for. It is not the boundary:
an object's attributes lead out of any namespace, and what stops that is the kernel.
"""

from __future__ import annotations

import builtins
import importlib
import types
from collections.abc import Callable, Sequence
from typing import Any

from .modules import SAFE_SPECIAL_NAMES, WITHHELD, words

Program = Callable[[Any], Any]

_ENTRY = "label_function"

_BUILTINS = words(
    "abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict divmod enumerate filter float "
    "format frozenset hash hex int isinstance issubclass iter len list map max min next object oct ord pow property "
    "range repr reversed round set slice sorted staticmethod str sum super tuple type zip True False None Ellipsis "
    "NotImplemented __build_class__ __debug__ ArithmeticError AssertionError AttributeError BaseException "
    "DeprecationWarning EOFError Exception FloatingPointError ImportError IndexError KeyError LookupError MemoryError "
    "ModuleNotFoundError NameError NotImplementedError OSError OverflowError RecursionError RuntimeError "
    "StopIteration SyntaxError TypeError UnicodeDecodeError UnicodeEncodeError UnicodeError UserWarning ValueError "
    "Warning ZeroDivisionError"
)

# Imported by the standard library only when first used, at which time a worker can open no file.
_LAZY = ("_strptime", "linecache", "traceback", "encodings.ascii", "encodings.latin_1", "encodings.utf_16")


def preload() -> None:
    """Import everything that a program may come to need, while files can still be opened."""
    for name in (*WITHHELD, *_LAZY):
        importlib.import_module(name)
    # The compiler of patterns and the codecs fill caches on first use; every worker inherits them.
    importlib.import_module("re").compile("a|b")
    "a".encode("utf-16")


def load(source: str, *, restricted: bool) -> Program:
    """Run a program's top level and return its entry function.

    Raises:
        BaseException: whatever the program raises, or a TypeError when it defines no function of that name.
    """
    names: dict[str, Any] = {"__name__": "program"}
    if restricted:
        names["__builtins__"] = _restricted_builtins()
    exec(compile(source, "<program>", "exec", dont_inherit=True), names)  # noqa: S102 - what the sandbox is for
    entry = names.get(_ENTRY)
    if not callable(entry):
        raise TypeError(f"it defines no function {_ENTRY}")
    return entry  # type: ignore[no-any-return]


def _restricted_builtins() -> dict[str, Any]:
    modules: dict[str, types.ModuleType] = {}

    def import_(
        name: str,
        globals_: object = None,
        locals_: object = None,
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> types.ModuleType:
        if name == "__future__":
            return importlib.import_module(name)
        if level or name not in WITHHELD:
            raise ImportError(f"module {name!r} is not available to programs")
        parent, _, child = name.partition(".")
        module = modules.get(name) or modules.setdefault(name, _proxy(name))
        if not child:
            return module
        owner = modules.get(parent) or modules.setdefault(parent, _proxy(parent))
        setattr(owner, child, module)
        return module if fromlist else owner

    chosen = {name: getattr(builtins, name) for name in _BUILTINS}
    extra = {"__import__": import_, "getattr": _getattr, "hasattr": _hasattr, "print": _print}
    return chosen | extra


def _proxy(name: str) -> types.ModuleType:
    """Copy a module's public names: a module proper leads to others, and from there to the operating system."""
    proxy = types.ModuleType(name)
    if name not in WITHHELD:
        return proxy
    module = importlib.import_module(name)
    listed = set(getattr(module, "__all__", ()))
    for attribute, value in vars(module).items():
        public = not attribute.startswith("_") and not isinstance(value, types.ModuleType)
        if public and (not listed or attribute in listed or name == "re") and attribute not in WITHHELD[name]:
            setattr(proxy, attribute, value)
    return proxy


def _getattr(owner: object, name: str, *default: object) -> object:
    _refuse_private(name)
    return getattr(owner, name, *default)


def _hasattr(owner: object, name: str) -> bool:
    _refuse_private(name)
    return hasattr(owner, name)


def _refuse_private(name: str) -> None:
    # An exact str: a subclass could answer one thing here and another to getattr.
    if type(name) is not str or (name.startswith("_") and name not in SAFE_SPECIAL_NAMES):
        raise AttributeError("getattr and hasattr are for public names")


def _print(*values: object, **options: object) -> None:
    """Print nowhere."""
