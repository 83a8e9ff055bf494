"""Names, hub, tensor files, checksums and atomic writes: what lies where, not what it means."""

from superpose.files.atomic import check_free, new_file, new_folder
from superpose.files.checksum import sha256
from superpose.files.names import locate, short_name
from superpose.files.tensors import TensorFile, read_header, read_tensors, write_tensors

__all__ = [
    "TensorFile",
    "check_free",
    "locate",
    "new_file",
    "new_folder",
    "read_header",
    "read_tensors",
    "sha256",
    "short_name",
    "write_tensors",
]
