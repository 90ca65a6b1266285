"""The drawing of the error tree and the classes agree."""

import inspect
import re

from labcore.kernel import errors


def drawn() -> dict[str, str]:
    """Child to parent, read off the drawing's indentation."""
    tree: dict[str, str] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^ {4}((?:│ {3}| {4})*)(?:[├└]── )?([A-Z]\w+)", line)
        if not match:
            continue
        depth = len(match[1]) // 4 + (1 if "── " in line else 0)
        path[depth:] = [match[2]]
        if depth:
            tree[match[2]] = path[depth - 1]
    return tree


def test_the_drawing_shows_every_class_below_its_parent():
    classes = {
        name: cls.__mro__[1].__name__
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, errors.LabError) and cls is not errors.LabError
    }
    assert drawn() == classes
