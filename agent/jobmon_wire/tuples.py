"""Named tuples without the module ``typing``.

To import it costs a process 4 ms of CPU, 14 on Python 3.6, and to make a class
by its ``NamedTuple`` twice what making the tuple does: the first command after
a wake-up waited for all of that.  A class is written as with ``typing``, and a
type checker takes it for one.
"""

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple
else:

    class _Maker(type):
        """Makes of a class with annotated fields a tuple that has them."""

        def __new__(mcs, name, bases, namespace):
            if not bases:  # NamedTuple itself
                return super().__new__(mcs, name, bases, namespace)
            fields = _annotations(namespace)
            made = namedtuple(name, fields)
            made.__new__.__defaults__ = tuple(namespace[field] for field in fields if field in namespace)
            for key, value in namespace.items():
                if key not in fields and key not in ("__dict__", "__weakref__"):
                    setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Maker):
        """The base of a class whose annotated names are fields, those with defaults last."""

    def _annotations(namespace):
        # From Python 3.14 on a class has a function that makes them.
        return list(namespace.get("__annotations__") or namespace["__annotate_func__"](1))
