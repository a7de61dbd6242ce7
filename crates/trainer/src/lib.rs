//! From step pairs to weights
