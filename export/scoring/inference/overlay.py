"""Heatmaps in colours over images, without matplotlib."""

import numpy as np
from PIL import Image

# Turbo, 256 colours from the lowest value to the highest: Anton Mikhailov, "Turbo, An Improved
# Rainbow Colormap for Visualization", Google 2019 (Apache 2.0); six hexadecimal digits a colour.
_TURBO = """
    30123b32154333184a341b51351e5836215f37246638276d392a733a2d793b2f803c32863d358b3e38913f3b97
    3f3e9c4040a24143a74146ac4249b1424bb5434eba4451bf4454c34456c74559cb455ccf455ed34661d64664da
    4666dd4669e0466be3476ee64771e94773eb4776ee4778f0477bf2467df44680f64682f84685fa4687fb458afc
    458cfd448ffe4391fe4294ff4196ff4099ff3e9bfe3d9efe3ba0fd3aa3fc38a5fb37a8fa35abf833adf731aff5
    2fb2f42eb4f22cb7f02ab9ee28bceb27bee925c0e723c3e422c5e220c7df1fc9dd1ecbda1ccdd81bd0d51ad2d2
    1ad4d019d5cd18d7ca18d9c818dbc518ddc218dec018e0bd19e2bb19e3b91ae4b61ce6b41de7b21fe9af20eaac
    22ebaa25eca727eea42aefa12cf09e2ff19b32f29835f39438f4913cf58e3ff68a43f78746f8844af8804ef97d
    52fa7a55fa7659fb735dfc6f61fc6c65fd6969fd666dfe6271fe5f75fe5c79fe597dff5680ff5384ff5188ff4e
    8bff4b8fff4992ff4796fe4499fe429cfe409ffd3fa1fd3da4fc3ca7fc3aa9fb39acfb38affa37b1f936b4f836
    b7f735b9f635bcf534bef434c1f334c3f134c6f034c8ef34cbed34cdec34d0ea34d2e935d4e735d7e535d9e436
    dbe236dde037dfdf37e1dd37e3db38e5d938e7d739e9d539ebd339ecd13aeecf3aefcd3af1cb3af2c93af4c73a
    f5c53af6c33af7c13af8be39f9bc39faba39fbb838fbb637fcb336fcb136fdae35fdac34fea933fea732fea431
    fea130fe9e2ffe9b2dfe992cfe962bfe932afe9029fd8d27fd8a26fc8725fc8423fb8122fb7e21fa7b1ff9781e
    f9751df8721cf76f1af66c19f56918f46617f36315f26014f15d13f05b12ef5811ed5510ec530feb500eea4e0d
    e84b0ce7490ce5470be4450ae2430ae14109df3f08dd3d08dc3b07da3907d83706d63506d43305d23105d02f05
    ce2d04cc2b04ca2a04c82803c52603c32503c12302be2102bc2002b91e02b71d02b41b01b21a01af1801ac1701
    a91601a71401a41301a112019e10019b0f01980e01950d01920b018e0a018b09028808028507028106027e0502
    7a0403
"""
COLORS = np.frombuffer(bytes.fromhex(_TURBO), np.uint8).reshape(256, 3)


def overlay(
    image: np.ndarray, heatmap: np.ndarray, low: float, high: float, opacity: float = 0.55
) -> np.ndarray:
    """An image with its heatmap in colours over it: that of `vac_tf.figures` to one grey level.

    Args:
        image: `[H, W, 3]` in 0..255.
        heatmap: `[h, w]`, enlarged to the image by bilinear interpolation.
        low: Value of the coldest colour; lower values show as it.
        high: Value of the hottest colour.
        opacity: Of the colours, 0 to 1.

    Returns:
        uint8 `[H, W, 3]`.
    """
    size = (image.shape[1], image.shape[0])
    small = Image.fromarray(np.asarray(heatmap, np.float32))
    large = np.asarray(small.resize(size, Image.Resampling.BILINEAR))
    shares = np.clip((large - low) / max(high - low, 1e-12), 0.0, 1.0)
    colors = COLORS[np.minimum((shares * 256).astype(np.int64), 255)]
    return np.rint(image * (1.0 - opacity) + colors * opacity).astype(np.uint8)
