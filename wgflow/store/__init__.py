"""Results files: HDF5 that h5py reads, and xarray as netCDF4. The only place that imports h5py.

It knows named dimensions, variables and attributes, and nothing of solvers. What it writes was
chosen for surviving a kill at any moment: contiguous arrays allocated in full and filled with NaN
when the file is made, rows written in place, and the commit mark `recorded[k]` written last. What
it reads may come from anyone: nothing is unpickled, followed or evaluated.
"""

from wgflow.store.checkpoint import (
    read_checkpoint as read_checkpoint,
    write_checkpoint as write_checkpoint,
)
from wgflow.store.dataset import (
    FORMAT as FORMAT,
    Attribute as Attribute,
    Dataset as Dataset,
    Variable as Variable,
    unfilled as unfilled,
)
from wgflow.store.lock import Lock as Lock
from wgflow.store.paths import (
    check_run as check_run,
    check_writable as check_writable,
    remove as remove,
    renamed as renamed,
    resolved as resolved,
)
from wgflow.store.reading import check_readable as check_readable, read as read
from wgflow.store.texts import check_ending as check_ending, write_text as write_text
from wgflow.store.writing import Writer as Writer, write as write
