"""An audit in a few lines, for the terminal."""

from collections.abc import Mapping
from typing import Any


def format_audit(contents: Mapping[str, Any], page: str) -> str:
    """The views, whether inconsistency predicts errors, localisation, and where the page is."""
    lines = [f"{'view':<22} relative  of decided  decisions changed"]
    for view in contents["views"].values():
        lines.append(
            f"{view['title']:<22} {_number(view['relative']):>8}"
            f"  {_number(view['relative_decided']):>10}  {100 * view['decisions_changed']:.2f} %"
        )
    errors = contents["errors"]
    if "left_out" not in errors:
        found = errors["all"]["inconsistency"]
        lines.append(
            f"inconsistency tells wrong decisions from right ones: AUC {_number(found['auc'])}"
            f" ({_number(found['low'])} to {_number(found['high'])})"
        )
    if "left_out" not in contents["localization"]:
        values = contents["localization"]["models"]["heatmaps"]
        lines.append(
            f"pointing game {_number(values['pointing_game']['mean'])}, energy inside"
            f" {_number(values['energy_inside']['mean'])}, IoU of masks"
            f" {_number(values['mask_overlap'])}"
        )
    unreadable = len(contents["unreadable"])
    lines.append(f"{contents['images']} images ({unreadable} could not be read): {page}")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"
