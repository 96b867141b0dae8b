"""The settings of how labels are read, and what they mean beyond present and absent."""

import dataclasses

from vac_tf.configs.fields import setting


@dataclasses.dataclass(frozen=True)
class LabelSettings:
    """What of a data set is a label, which exclude each other, and what rows count for."""

    label_separator: str = setting("|", "Separator inside the `labels` column (dataset table).")
    label_columns: str = setting(
        "",
        "Columns of a table (or hf) that are labels, separated by commas; empty: all but the known"
        " ones. Of open_images, peta and rap the classes or attributes; empty: all (rap: those that"
        " papers evaluate).",
    )
    rap_partition: int = setting(
        1, "Of rap: which of its random partitions, of 5, is trained and tested on.", at_least=1
    )
    ignore_columns: str = setting("", "Columns of a table (or hf) to leave out, by commas.")
    soft_labels: bool = setting(
        False,
        "Cells of a table's label columns may be any number in 0..1; metrics and the validation"
        " take a label from 0.5 on as a positive.",
    )
    weight_column: str = setting(
        "", "Column of a table that says what a row counts for in training; empty: all alike."
    )
    label_groups: str = setting(
        "",
        "Labels that exclude each other: a TOML file of groups ([exactly_one], [at_most_one]), or"
        " names, where labels are called group:label (group?:label: at most one). A group is learnt"
        " by softmax cross entropy and decided by its most probable label.",
    )
