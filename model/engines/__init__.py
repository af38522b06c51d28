"""What runs a trained model: PyTorch or OpenCV, behind one interface; and export to their files."""
