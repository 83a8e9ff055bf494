"""Names, hub, tensor files, checksums and atomic writes: what lies where, not what it means."""

from superpose.files.atomic import (
    check_free,
    check_free_file,
    check_writable,
    new_file,
    new_folder,
)
from superpose.files.home import with_home
from superpose.files.json_values import gathered, without_nan
from superpose.files.names import (
    called,
    exists,
    is_here,
    listing,
    locate,
    short_name,
    short_names,
)
from superpose.files.tensors import TensorFile, open_tensors, read_header, write_tensors
from superpose.files.text import check_characters, encodable

__all__ = [
    "TensorFile",
    "called",
    "check_characters",
    "check_free",
    "check_free_file",
    "check_writable",
    "encodable",
    "exists",
    "gathered",
    "is_here",
    "listing",
    "locate",
    "new_file",
    "new_folder",
    "open_tensors",
    "read_header",
    "short_name",
    "short_names",
    "with_home",
    "without_nan",
    "write_tensors",
]
