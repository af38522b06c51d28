"""Data sets by name, each from where it comes: the faces of Carnegie Mellon, and torchvision's."""
