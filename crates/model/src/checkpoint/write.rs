//! Writing: a header, then the tensors' bytes one after another.

use super::tensor_bytes;
use crate::ModelError;
use espalier_files::publish_file;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use tch::{Kind, Tensor};

/// Writes named tensors as one safetensors file. The same tensors give the same bytes.
pub(crate) fn write_file<'a>(
    path: &Path,
    tensors: impl Iterator<Item = (&'a str, &'a Tensor)> + Clone,
) -> Result<(), ModelError> {
    let mut infos = Vec::new();
    let mut end = 0;
    for (name, tensor) in tensors.clone() {
        let dtype = match tensor.kind() {
            Kind::Double => Dtype::F64,
            Kind::Float => Dtype::F32,
            Kind::Half => Dtype::F16,
            Kind::BFloat16 => Dtype::BF16,
            other => return Err(ModelError::DataType { name: name.to_owned(), found: format!("{other:?}") }),
        };
        let start = end;
        end += tensor.numel() * tensor.kind().elt_size_in_bytes();
        let shape = tensor.size().into_iter().map(|size| size as usize).collect();
        infos.push((name.to_owned(), TensorInfo { dtype, shape, data_offsets: (start, end) }));
    }
    // transformers refuses files that do not say which framework's layout they have.
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let header = Metadata::new(Some(format), infos).map_err(|error| ModelError::broken(path, error))?;
    let mut header = serde_json::to_vec(&header).map_err(|error| ModelError::broken(path, error))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    publish_file(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes()).map_err(ModelError::write(path))?;
        file.write_all(&header).map_err(ModelError::write(path))?;
        for (_, tensor) in tensors {
            file.write_all(&tensor_bytes(tensor)?).map_err(ModelError::write(path))?;
        }
        Ok(())
    })
}
