"""The public name of the saliency metrics; the package's own code imports `vac_tf.metrics`."""

from vac_tf.metrics.saliency import cc, information_gain, kld, nss, sim
from vac_tf.metrics.saliency_auc import auc_borji, auc_judd, shuffled_auc

__all__ = [
    "auc_borji",
    "auc_judd",
    "cc",
    "information_gain",
    "kld",
    "nss",
    "shuffled_auc",
    "sim",
]
