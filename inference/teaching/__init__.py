"""Learning from a folder of pictures while predict-cam runs."""
