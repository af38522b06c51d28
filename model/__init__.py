"""LeNet-5 from data to answer: data sets, training, calibration, and the files of a trained model.

``config``, ``card`` and ``calibration`` need no PyTorch, so a device without it can still read a
model. ``data/`` loads and caches data sets, ``engines/`` runs a trained model.
"""
