"""What every abbreviation of the page means."""

HEADLINES = ("mAP", "mA", "F1-C", "CF1", "F1-O", "F1")
LABEL_BASED = ("mAP", "mA", "F1-C", "CF1", "P-C", "R-C", "F1-O", "P-O", "R-O")
EXAMPLE_BASED = ("Acc", "Prec", "Recall", "F1", "F1-mean")
# Transforms by which consistency is measured, in words.
VIEWS = {
    "hflip": "mirrored",
    "rotate": "a quarter turn",
    "scale": "smaller",
    "translate": "shifted",
}

LEGEND = {
    "AP": "Average precision of one label: the area under its precision-recall curve. It judges"
    " the order of the images, whatever the threshold.",
    "mAP": "Mean of the labels' average precision.",
    "mA": "Mean accuracy: mean over labels of (share of positives found + share of negatives left"
    " alone) / 2. Chance is 50.",
    "P-C, R-C": "Precision and recall, each the mean over labels (“per class”, macro).",
    "F1-C": "Mean of the labels' F1, as in the VAC paper.",
    "CF1": "F1 of P-C and R-C, as other papers have it.",
    "P-O, R-O, F1-O": "Precision, recall and F1 over all labels of all images counted together"
    " (“overall”, micro).",
    "F1": "Harmonic mean of precision and recall. In the table of images: of the mean precision"
    " and the mean recall; F1-mean: mean of the images' F1.",
    "top 1": "Share of images of which the right label is chosen in a group of labels that exclude"
    " each other. Left out are images whose labels contradict the group or say nothing of it.",
    "contradictory decisions": "Share of images decided to have several labels of a group, or none"
    " where exactly one holds.",
    "Acc": "Mean over images of |decided and true| / |decided or true|.",
    "Prec, Recall": "Precision and recall of each image's labels, means over images.",
    "top 3": "The three most likely labels of each image are decided, whatever their probability;"
    " top 3 > t: those of them above the threshold.",
    "precision": "Of the images decided to have the label, the share that has it.",
    "recall": "Of the images that have the label, the share decided to have it.",
    "95 % interval": "Percentile bootstrap over images: drawn anew, 95 of 100 test sets of this"
    " size and kind would give a value about within it. With few positives it"
    " lies high, since one that is drawn twice is found twice; a label with fewer than 5 has none."
    " It says nothing about other seeds of the"
    " training.",
    "chance": "What a network reaches that does not look at the image: for AP a random order of"
    " the images, else the same decisions given to other images.",
    "ECE": "Expected calibration error: mean distance of the predicted probability from the share"
    " that has the label (ECE-C: per label, then the mean; ECE-O: all labels together).",
    "NLL": "Negative log-likelihood of a label, in nats.",
    "inconsistency": "How far a heatmap fails to follow the image when that is mirrored, turned,"
    " scaled or shifted: mean squared difference (raw), divided by the map's own variance"
    " (relative; 0: follows exactly, 2: has nothing to do with it).",
}
