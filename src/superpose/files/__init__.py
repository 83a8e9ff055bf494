"""Names, hub, tensor files, checksums and atomic writes: what lies where, not what it means."""

from superpose.files.atomic import check_free, new_file, new_folder
from superpose.files.checksum import sha256
from superpose.files.hub import download_command
from superpose.files.json_values import without_nan
from superpose.files.names import is_here, listing, locate, short_name
from superpose.files.tensors import TensorFile, read_header, read_tensors, write_tensors

__all__ = [
    "TensorFile",
    "check_free",
    "download_command",
    "is_here",
    "listing",
    "locate",
    "new_file",
    "new_folder",
    "read_header",
    "read_tensors",
    "sha256",
    "short_name",
    "without_nan",
    "write_tensors",
]
