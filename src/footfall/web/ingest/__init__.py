"""What counts views over HTTP: /count, the pixel, and the connection that answers them."""
