"""Which of ImageNet's 1,000 classes show an object of a COCO category.

Classes are named by the first of their WordNet synonyms; a pair is the first and the last of
classes that follow one another (birds, dogs). Other categories have none: person, fork, donut, ...
"""

from collections.abc import Sequence

IMAGENET_CLASSES = {
    "bicycle": ["mountain bike", "bicycle-built-for-two"],
    "car": ["beach wagon", "cab", "convertible", "jeep", "limousine", "minivan", "Model T"]
    + ["racer", "sports car"],
    "motorcycle": ["moped", "motor scooter"],
    "airplane": ["airliner", "warplane"],
    "bus": ["minibus", "school bus", "trolleybus"],
    "train": ["bullet train", "electric locomotive", "passenger car", "steam locomotive"]
    + ["streetcar"],
    "truck": ["fire engine", "garbage truck", "moving van", "pickup", "tow truck"]
    + ["trailer truck"],
    "boat": ["canoe", "catamaran", "container ship", "fireboat", "gondola", "lifeboat", "liner"]
    + ["schooner", "speedboat", "trimaran", "yawl"],
    "traffic light": ["traffic light"],
    "stop sign": ["street sign"],
    "parking meter": ["parking meter"],
    "bench": ["park bench"],
    "bird": [("cock", "great grey owl"), ("black grouse", "black swan")]
    + [("white stork", "albatross")],
    "cat": [("tabby", "Egyptian cat")],
    "dog": [("Chihuahua", "Mexican hairless")],
    "horse": ["sorrel"],
    "sheep": ["ram"],
    "cow": ["ox"],
    "elephant": ["tusker", "Indian elephant", "African elephant"],
    "bear": [("brown bear", "sloth bear")],
    "zebra": ["zebra"],
    "backpack": ["backpack"],
    "umbrella": ["umbrella"],
    "handbag": ["purse"],
    "tie": ["Windsor tie", "bow tie"],
    "skis": ["ski"],
    "sports ball": ["baseball", "basketball", "croquet ball", "golf ball", "ping-pong ball"]
    + ["rugby ball", "soccer ball", "tennis ball", "volleyball"],
    "tennis racket": ["racket"],
    "bottle": ["beer bottle", "pop bottle", "water bottle", "wine bottle"],
    "wine glass": ["goblet", "red wine"],
    "cup": ["coffee mug", "cup"],
    "spoon": ["wooden spoon"],
    "bowl": ["mixing bowl", "soup bowl"],
    "banana": ["banana"],
    "apple": ["Granny Smith"],
    "orange": ["orange"],
    "broccoli": ["broccoli"],
    "hot dog": ["hotdog"],
    "pizza": ["pizza"],
    "chair": ["barber chair", "folding chair", "rocking chair"],
    "couch": ["studio couch"],
    "potted plant": ["pot"],
    "bed": ["four-poster"],
    "dining table": ["dining table"],
    "toilet": ["toilet seat"],
    "tv": ["monitor", "screen", "television"],
    "laptop": ["laptop", "notebook"],
    "mouse": ["mouse"],
    "remote": ["remote control"],
    "keyboard": ["computer keyboard", "typewriter keyboard"],
    "cell phone": ["cellular telephone"],
    "microwave": ["microwave"],
    "oven": ["stove"],
    "toaster": ["toaster"],
    "sink": ["washbasin"],
    "refrigerator": ["refrigerator"],
    "clock": ["analog clock", "digital clock", "wall clock"],
    "vase": ["vase"],
    "teddy bear": ["teddy"],
    "hair drier": ["hand blower"],
}


def classes_of(category: str, class_names: Sequence[str]) -> set[int]:
    """Indices of the classes of a COCO category; none for a category without.

    Args:
        category: name of a COCO category.
        class_names: first synonym of each of the 1,000 classes.

    Raises:
        ValueError: a class of the table is not among them.
    """
    found = set()
    for entry in IMAGENET_CLASSES.get(category, ()):
        first, last = (entry, entry) if isinstance(entry, str) else entry
        found |= set(range(class_names.index(first), class_names.index(last) + 1))
    return found
