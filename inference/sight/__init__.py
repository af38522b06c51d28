"""Which part of a picture the model sees: a square that a person places, or the faces."""
