"""One call of explain.py: model and images opened, pictures and pages written as a whole."""

from export.files.atomic_folder import replace_folder
from export.inspection.opened_model import open_model
from export.inspection.pictures import read_pictures
from export.scoring.sources.open_source import open_source
from vac_tf.configs.explanation import ExplanationConfig
from vac_tf.explanation.gallery import write_gallery
from vac_tf.explanation.run import EXPLANATION_FILE, explain


def explain_images(config: ExplanationConfig) -> str:
    """Writes the folder `config.output`, which appears as a whole or not at all.

    Returns:
        What was done, for the terminal.

    Raises:
        ValueError: model, images or output cannot be used, or no image can be read.
    """
    source = open_source(config.images, config.image_root)
    with replace_folder(config.output, EXPLANATION_FILE, "folder of explain.py") as folder:
        opened = open_model(config)
        pictures = read_pictures(source, opened.preprocessing, config)
        contents = explain(opened.model, pictures, folder, config)
        write_gallery(contents, folder)
    unreadable = sum(image["status"] != "ok" for image in contents["images"])
    drawn = sum(len(image.get("labels", ())) for image in contents["images"])
    return (
        f"{drawn} heatmaps of {len(contents['images']) - unreadable} images"
        f" ({unreadable} could not be read): {config.output}/index.html"
    )
