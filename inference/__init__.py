"""predict-cam: classifies what a camera, a video or images show."""
