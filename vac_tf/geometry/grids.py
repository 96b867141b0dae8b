"""Two grids over the same area, cut where either has a border."""

import numpy as np


def common_pieces(first_cells: int, second_cells: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cuts an axis at the borders of both grids.

    Up-sampled to their least common multiple by repeating cells (7 and 6 cells become 42), both
    grids are constant between two successive borders of either: one comparison a piece, weighted by
    its length, stands for all of them (12 pieces for 42 cells).

    Args:
        first_cells: Cells of the first grid along the axis.
        second_cells: Cells of the second.

    Returns:
        Three int arrays `[pieces]`: the cell of the first grid, the cell of the second, and the
        length of each piece, in units in which the axis is as long as the least common multiple.
    """
    common = np.lcm(first_cells, second_cells)
    first_size, second_size = common // first_cells, common // second_cells
    borders = np.union1d(
        np.arange(first_cells + 1) * first_size, np.arange(second_cells + 1) * second_size
    )
    return borders[:-1] // first_size, borders[:-1] // second_size, np.diff(borders)
