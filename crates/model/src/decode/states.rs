//! Final-norm hidden states where the decoder left them.

use crate::ModelError;
use std::ops::Range;
use tch::Tensor;

/// Final-norm hidden states of N tokens, [N, H].
#[derive(Debug)]
pub struct States {
    pub(super) numbers: Numbers,
    rows: usize,
}

#[derive(Debug)]
pub(super) enum Numbers {
    /// In main memory.
    Host(Vec<f32>),
    /// On a device, [N, H].
    Device(Tensor),
}

impl States {
    pub(super) fn host(numbers: Vec<f32>, width: usize) -> States {
        States { rows: numbers.len() / width, numbers: Numbers::Host(numbers) }
    }

    pub(super) fn device(tensor: Tensor) -> States {
        States { rows: tensor.size()[0] as usize, numbers: Numbers::Device(tensor) }
    }

    /// N.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A copy of some rows, in memory of its own.
    ///
    /// # Panics
    /// When they are not there.
    #[must_use]
    pub fn narrow(&self, rows: Range<usize>) -> States {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "rows {rows:?} of {}", self.rows);
        let numbers = match &self.numbers {
            Numbers::Host(numbers) => {
                let width = numbers.len().checked_div(self.rows).unwrap_or(0);
                Numbers::Host(numbers[rows.start * width..rows.end * width].to_vec())
            }
            Numbers::Device(tensor) => Numbers::Device(tensor.narrow(0, rows.start as i64, rows.len() as i64).copy()),
        };
        States { rows: rows.len(), numbers }
    }

    /// All rows one after another.
    ///
    /// # Panics
    /// When some are in main memory and some on a device.
    #[must_use]
    pub fn join(all: &[&States]) -> States {
        let rows = all.iter().map(|states| states.rows).sum();
        let tensors: Vec<&Tensor> = all
            .iter()
            .filter_map(|states| match &states.numbers {
                Numbers::Device(tensor) => Some(tensor),
                Numbers::Host(_) => None,
            })
            .collect();
        let numbers = if tensors.is_empty() {
            let parts = all.iter().flat_map(|states| match &states.numbers {
                Numbers::Host(numbers) => numbers.as_slice(),
                Numbers::Device(_) => &[],
            });
            Numbers::Host(parts.copied().collect())
        } else {
            assert_eq!(tensors.len(), all.len(), "states of one decoder");
            Numbers::Device(Tensor::cat(&tensors, 0))
        };
        States { numbers, rows }
    }

    /// Bytes that they take.
    pub fn bytes(&self) -> usize {
        match &self.numbers {
            Numbers::Host(numbers) => size_of_val(numbers.as_slice()),
            Numbers::Device(tensor) => tensor.numel() * tensor.kind().elt_size_in_bytes(),
        }
    }

    /// All numbers as float32, [N H].
    ///
    /// # Errors
    /// When they cannot be brought into main memory.
    pub fn to_vec(&self) -> Result<Vec<f32>, ModelError> {
        match &self.numbers {
            Numbers::Host(numbers) => Ok(numbers.clone()),
            Numbers::Device(tensor) => to_vec(tensor),
        }
    }
}

/// A tensor's numbers as float32 in main memory.
pub(super) fn to_vec(tensor: &Tensor) -> Result<Vec<f32>, ModelError> {
    let tensor = tensor.f_to_kind(tch::Kind::Float)?.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
    Ok(Vec::<f32>::try_from(tensor.f_view([-1])?)?)
}
