"""Where frames come from: cameras, streams, videos and image files."""
