//! Reading: one tensor at a time, so that memory holds the model and one tensor more.

use super::{INDEX, WEIGHTS};
use crate::ModelError;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// The same limit as the safetensors library has.
const MAX_HEADER_BYTES: u64 = 100_000_000;

#[derive(Deserialize)]
struct Index {
    /// File of each tensor.
    weight_map: BTreeMap<String, String>,
}

/// Reads the `wanted` tensors (name and shape) of a model's folder in their order, as `kind` on `device`.
///
/// # Errors
/// A tensor that is missing, one that is neither wanted nor `redundant`, a wrong shape, a broken file.
pub(crate) fn read_folder(
    folder: &Path,
    wanted: &[(String, Vec<i64>)],
    redundant: impl Fn(&str) -> bool,
    device: Device,
    kind: Kind,
) -> Result<Vec<Tensor>, ModelError> {
    let index = folder.join(INDEX);
    let files: Vec<PathBuf> = if folder.join(WEIGHTS).exists() || !index.exists() {
        vec![folder.join(WEIGHTS)]
    } else {
        let text = espalier_files::read_input(&index).map_err(ModelError::read(&index))?;
        let Index { weight_map } = serde_json::from_slice(&text).map_err(|error| ModelError::broken(&index, error))?;
        let shards: BTreeSet<&String> = weight_map.values().collect();
        // A shard lies beside its index; a path that leads elsewhere is no shard.
        if let Some(shard) = shards.iter().find(|shard| Path::new(shard).file_name() != Some(shard.as_ref())) {
            return Err(ModelError::broken(&index, format!("{shard:?} is not the name of a file beside it")));
        }
        shards.into_iter().map(|shard| folder.join(shard)).collect()
    };
    let source = if let [file] = files.as_slice() { file.clone() } else { folder.to_owned() };
    read(&files, &source, wanted, redundant, device, kind)
}

/// As [`read_folder`], for one file.
pub(crate) fn read_file(
    path: &Path,
    wanted: &[(String, Vec<i64>)],
    device: Device,
    kind: Kind,
) -> Result<Vec<Tensor>, ModelError> {
    read(&[path.to_owned()], path, wanted, |_| false, device, kind)
}

/// The shape of a tensor in a file, if it is there.
pub(crate) fn shape_in(path: &Path, name: &str) -> Result<Option<Vec<i64>>, ModelError> {
    Ok(Tensors::open(path)?.header.info(name).map(|info| signed(&info.shape)))
}

fn read(
    files: &[PathBuf],
    source: &Path,
    wanted: &[(String, Vec<i64>)],
    redundant: impl Fn(&str) -> bool,
    device: Device,
    kind: Kind,
) -> Result<Vec<Tensor>, ModelError> {
    let mut files = files.iter().map(|path| Tensors::open(path)).collect::<Result<Vec<_>, _>>()?;
    // All names and shapes are checked before the first weight is read.
    let mut places = Vec::new();
    for (name, shape) in wanted {
        let place = files.iter().position(|file| file.header.info(name).is_some());
        let missing =
            || ModelError::MissingTensor { path: source.to_owned(), name: name.clone(), shape: shape.clone() };
        let place = place.ok_or_else(missing)?;
        if let Some(info) = files[place].header.info(name) {
            let got = signed(&info.shape);
            if got != *shape {
                return Err(ModelError::Shape { name: name.clone(), got, wanted: shape.clone() });
            }
        }
        places.push(place);
    }
    let known: BTreeSet<&str> = wanted.iter().map(|(name, _)| name.as_str()).collect();
    for file in &files {
        for name in file.header.offset_keys() {
            if !known.contains(name.as_str()) && !redundant(&name) {
                let shape = file.header.info(&name).map(|info| signed(&info.shape)).unwrap_or_default();
                return Err(ModelError::UnexpectedTensor { path: file.path.clone(), name, shape });
            }
        }
    }
    let mut buffer = Vec::new();
    let read = |((name, _), place): (&(String, Vec<i64>), usize)| files[place].tensor(name, &mut buffer, device, kind);
    wanted.iter().zip(places).map(read).collect()
}

fn signed(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&size| size as i64).collect()
}

/// One open safetensors file.
struct Tensors {
    path: PathBuf,
    file: File,
    header: Metadata,
    /// Where the tensors' bytes begin.
    start: u64,
}

impl Tensors {
    /// Opens a file and checks its header against its length.
    fn open(path: &Path) -> Result<Tensors, ModelError> {
        let mut file = espalier_files::open_input(path).map_err(ModelError::read(path))?;
        let file_bytes = file.metadata().map_err(ModelError::read(path))?.len();
        let mut length = [0; 8];
        if file_bytes < 8 {
            return Err(ModelError::broken(path, format!("{file_bytes} bytes are no safetensors file")));
        }
        file.read_exact(&mut length).map_err(ModelError::read(path))?;
        let header_bytes = u64::from_le_bytes(length);
        if header_bytes > MAX_HEADER_BYTES.min(file_bytes - 8) {
            let problem =
                format!("its header claims {header_bytes} bytes of {file_bytes}; it is cut off or no safetensors file");
            return Err(ModelError::broken(path, problem));
        }
        let mut header = vec![0; header_bytes as usize];
        file.read_exact(&mut header).map_err(ModelError::read(path))?;
        let header: Metadata = serde_json::from_slice(&header).map_err(|error| ModelError::broken(path, error))?;
        let start = 8 + header_bytes;
        let expected = start + header.data_len() as u64;
        if expected != file_bytes {
            return Err(ModelError::broken(path, format!("it has {file_bytes} bytes, but its header says {expected}")));
        }
        Ok(Tensors { path: path.to_owned(), file, header, start })
    }

    fn tensor(&mut self, name: &str, buffer: &mut Vec<u8>, device: Device, kind: Kind) -> Result<Tensor, ModelError> {
        let info = self.header.info(name);
        let info: &TensorInfo = info.ok_or_else(|| ModelError::broken(&self.path, format!("no tensor {name}")))?;
        let stored = match info.dtype {
            Dtype::F64 => Kind::Double,
            Dtype::F32 => Kind::Float,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            other => return Err(ModelError::DataType { name: name.to_owned(), found: format!("{other:?}") }),
        };
        let (from, to) = info.data_offsets;
        buffer.resize(to - from, 0);
        self.file.seek(SeekFrom::Start(self.start + from as u64)).map_err(ModelError::read(&self.path))?;
        self.file.read_exact(buffer).map_err(ModelError::read(&self.path))?;
        // LibTorch copies the bytes into memory of its own, aligned as it likes.
        let tensor = Tensor::f_from_data_size(buffer, &signed(&info.shape), stored)?;
        Ok(tensor.f_to_kind(kind)?.f_to_device(device)?)
    }
}
