"""Image LoRAs: kohya's and diffusers' one file, read and written in the format they came in."""

from superpose.formats.image.read import read_image
from superpose.formats.image.write import ENDING, check_image_output, write_image

__all__ = ["ENDING", "check_image_output", "read_image", "write_image"]
