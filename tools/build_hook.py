"""How hatchling fills both wheels; the hooks that their pyproject.toml name.

    python -m build --wheel --outdir dist .
    python -m build --wheel --outdir dist distributions/scoring

or, to publish or move them, both at once with `make wheels`.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))  # A build runs in an environment that does not have it.

from command.programs import LIBRARY, SCORING  # noqa: E402
from command.version import VERSION  # noqa: E402
from tools.wheel_layout import REWRITTEN, rewritten, source_modules, wheel_files  # noqa: E402

# Set by `make wheels`.
RELEASE = "VAC_RELEASE"
_SCORING_FOLDER = REPOSITORY / "distributions" / "scoring"


class WheelHook(BuildHookInterface):
    """Puts the files of the distribution in the wheel, under their names there."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        self._folder = tempfile.TemporaryDirectory()
        modules, is_editable = source_modules(REPOSITORY), version == "editable"
        for target, path in wheel_files(REPOSITORY, self.metadata.name).items():
            # An editable installation finds vac_tf in the checkout, see docs/install.md.
            if is_editable and path.startswith("vac_tf/"):
                continue
            source = REPOSITORY / path
            if path.endswith(REWRITTEN):
                source = Path(self._folder.name, target)
                source.parent.mkdir(parents=True, exist_ok=True)
                text = (REPOSITORY / path).read_text(encoding="utf-8")
                source.write_text(rewritten(text, modules, path), encoding="utf-8")
            key = "force_include_editable" if is_editable else "force_include"
            build_data[key][str(source)] = target

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self.target_name == "wheel":
            self._folder.cleanup()


class DependenciesHook(MetadataHookInterface):
    """Adds to vac-tf the scoring distribution of the same version.

    `pip install .` takes the one that lies beside it in the checkout, as no index need have it. A
    wheel that is to leave the checkout asks for it by version.
    """

    def update(self, metadata: dict[str, Any]) -> None:
        metadata["version"] = VERSION
        if metadata["name"] != LIBRARY:
            return
        scoring = f"{SCORING}[{','.join(self.config['scoring-extras'])}]"
        place = f"=={VERSION}" if os.environ.get(RELEASE) else f" @ {_SCORING_FOLDER.as_uri()}"
        metadata["dependencies"] = [*self.config["dependencies"], f"{scoring}{place}"]
