"""How much a picture looks like the training images, whatever the network makes of it."""
