//! Batched sampling of steps from the model
