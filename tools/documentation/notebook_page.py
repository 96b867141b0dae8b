"""A notebook as a page of Markdown: its texts, and its code in blocks."""

import nbformat


def notebook_page(text: str) -> str:
    """The Markdown of a notebook; outputs, which ours are kept without, are left out.

    Args:
        text: The file, JSON of nbformat 4.

    Raises:
        nbformat.reader.NotJSONError: It is no notebook.
    """
    cells = nbformat.reads(text, as_version=4).cells
    return "\n\n".join(
        cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```"
        for cell in cells
    )
