"""Modules of users that register backbones, transforms, losses and datasets (`--import`)."""

import importlib
import importlib.util
import os
import sys

IMPORT_HELP = (
    "Modules that register what this run uses, by name or as the path of a .py file, separated by"
    " commas: see vac_tf.register_backbone, _transform, _loss, _dataset."
)


def import_extensions(text: str) -> str:
    """Imports modules, each once.

    Args:
        text: names of modules, also of the working directory, or paths of `.py` files, separated
            by commas.

    Returns:
        The same, with absolute paths.

    Raises:
        ValueError: there is no such module or file, or another module has the name of the file.
    """
    return ",".join(_import(item) for item in _items(text))


def missing_extensions(text: str) -> str:
    """Those of `import_extensions` that this process has not imported, separated by commas."""
    return ",".join(item for item in _items(text) if not _is_imported(item))


def _items(text):
    return [item.strip() for item in text.split(",") if item.strip()]


def _import(item):
    if not item.endswith(".py"):
        _import_by_name(item)
        return item
    path = os.path.abspath(item)
    if not os.path.isfile(path):
        raise ValueError(f"--import={item}: there is no such file.")
    if not _is_imported(path):
        _import_file(path)
    return path


def _import_by_name(name):
    folder = os.getcwd()
    if folder not in sys.path:  # A program's own folder is there, not where it is started.
        sys.path.append(folder)
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and not f"{name}.".startswith(f"{error.name}."):
            raise  # What the module itself imports.
        raise ValueError(
            f"--import={name}: there is no such module, installed or in {folder!r}. Give the name"
            " of a module, or the path of a .py file."
        ) from error


def _import_file(path):
    name = os.path.basename(path).removesuffix(".py")
    found = None if name in sys.modules else importlib.util.find_spec(name)
    if name in sys.modules or found and not _is_same_file(found.origin, path):
        raise ValueError(
            f"--import={path}: there is another module {name!r}; give the file another name."
        )
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise


def _is_imported(item):
    if not item.endswith(".py"):
        return item in sys.modules
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    return any(_is_same_file(file, item) for file in files)


def _is_same_file(file, path):
    if not file or os.path.basename(file) != os.path.basename(path):
        return False
    return os.path.realpath(file) == os.path.realpath(path)
