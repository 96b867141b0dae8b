"""Configuration of pictures of where a model looks."""

import dataclasses

from vac_tf.configs.fields import setting
from vac_tf.configs.viewed_model import VIEWS, ViewedModelConfig

DECIDED, ALL = "decided", "all"


@dataclasses.dataclass(frozen=True)
class ExplanationConfig(ViewedModelConfig):
    """One folder of pictures: which model, which images, which labels."""

    labels: str = setting(
        DECIDED,
        "Labels to draw: decided (of each image; where there is none, the most probable one), all,"
        " or names with commas between them (a name with a comma in quotes).",
    )
    transforms: str = setting(
        "hflip,scale",
        "Views beside the image, with their heatmaps moved back and the difference: some of"
        f" {', '.join(VIEWS)}.",
    )
    sheet_columns: int = setting(
        6,
        "Pictures side by side on a contact sheet, five times as many below; 0: no sheets.",
        at_least=0,
        at_most=20,
    )
