//! Tensors as little-endian bytes.

use crate::ModelError;
use tch::{Device, Tensor};

/// The bytes of a tensor, row by row.
pub(crate) fn tensor_bytes(tensor: &Tensor) -> Result<Vec<u8>, ModelError> {
    let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}
